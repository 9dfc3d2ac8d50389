output "webhook_url" {
  description = "The address that webhooks begin with: append pagerduty, alertmanager, grafana, datadog, newrelic, gcp or github."
  value       = "${google_cloud_run_v2_service.sre_agent.uri}/webhooks/"
}

output "slack_request_url" {
  description = "For Slack's events and interactivity in HTTP mode."
  value       = "${google_cloud_run_v2_service.sre_agent.uri}/slack/events"
}

output "service_account" {
  description = "The account it runs as."
  value       = google_service_account.sre_agent.email
}
