# One service that takes events and carries out turns. Cloud Run gives one port, so PORT and OPS_PORT are the same: what
# is for the cluster alone answers on it with OPS_AUTH_TOKEN only.

locals {
  ports = {
    OPS_PORT               = "8080"
    SHUTDOWN_GRACE_SECONDS = "8" # Cloud Run kills ten seconds after SIGTERM; what is cut off is taken over
  }
}

resource "google_service_account" "sre_agent" {
  account_id   = "sre-agent"
  display_name = "SRE Agent"
}

# It may read these secrets, and nothing else of the project.
resource "google_secret_manager_secret_iam_member" "reads" {
  for_each  = var.secrets
  project   = var.project
  secret_id = "sre-agent-${each.value}"
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.sre_agent.member
}

resource "google_project_iam_member" "cloud_sql" {
  count   = var.cloud_sql_instance == "" ? 0 : 1
  project = var.project
  role    = "roles/cloudsql.client"
  member  = google_service_account.sre_agent.member
}

resource "google_cloud_run_v2_service" "sre_agent" {
  name                = "sre-agent"
  location            = var.region
  deletion_protection = false
  ingress             = "INGRESS_TRAFFIC_ALL"

  template {
    service_account       = google_service_account.sre_agent.email
    execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
    timeout               = "60s"

    scaling {
      min_instance_count = 1
      max_instance_count = var.max_instances
    }

    containers {
      image = var.image
      args  = ["serve"]

      ports {
        container_port = 8080
      }

      resources {
        limits = {
          cpu    = "1"
          memory = "1Gi"
        }
        cpu_idle          = false # turns are carried out between requests
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = merge(var.settings, local.ports)
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = var.secrets
        content {
          name = env.value
          value_source {
            secret_key_ref {
              secret  = "sre-agent-${env.value}"
              version = "latest"
            }
          }
        }
      }

      startup_probe {
        period_seconds    = 2
        failure_threshold = 60
        http_get {
          path = "/healthz"
        }
      }

      liveness_probe {
        period_seconds    = 15
        timeout_seconds   = 5
        failure_threshold = 4
        http_get {
          path = "/healthz"
        }
      }

      dynamic "volume_mounts" {
        for_each = var.cloud_sql_instance == "" ? [] : ["cloudsql"]
        content {
          name       = volume_mounts.value
          mount_path = "/cloudsql"
        }
      }
    }

    dynamic "volumes" {
      for_each = var.cloud_sql_instance == "" ? [] : ["cloudsql"]
      content {
        name = volumes.value
        cloud_sql_instance {
          instances = [var.cloud_sql_instance]
        }
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.reads]
}

# Slack and the sources of alerts prove themselves by signatures and secrets, not by accounts of Google.
resource "google_cloud_run_v2_service_iam_member" "public" {
  name     = google_cloud_run_v2_service.sre_agent.name
  location = google_cloud_run_v2_service.sre_agent.location
  role     = "roles/run.invoker"
  member   = "allUsers"
}
