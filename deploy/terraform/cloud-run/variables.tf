variable "project" {
  type        = string
  description = "The id of the Google Cloud project."
}

variable "region" {
  type        = string
  description = "Where it runs."
  default     = "europe-west1"
}

variable "image" {
  type        = string
  description = "The container image, with a tag or, better, a digest."
}

variable "secrets" {
  type        = set(string)
  description = "The settings that come from Secret Manager; DATABASE_URL among them. Each is a secret sre-agent-<name> there."

  validation {
    condition     = contains(var.secrets, "DATABASE_URL") && contains(var.secrets, "SLACK_BOT_TOKEN")
    error_message = "Needs DATABASE_URL and SLACK_BOT_TOKEN at least."
  }
}

variable "settings" {
  type        = map(string)
  description = "The settings that are no secrets, by name; docs/configuration.md has them all."
  default     = {}
}

variable "cloud_sql_instance" {
  type        = string
  description = "PROJECT:REGION:INSTANCE, when DATABASE_URL names /cloudsql/…; empty when PostgreSQL is reached otherwise."
  default     = ""
}

variable "max_instances" {
  type        = number
  description = "As many as there may be; one is always there, for it holds the line to Slack and does work that no request waits for."
  default     = 4
}
