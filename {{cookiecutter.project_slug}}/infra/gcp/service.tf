# The server, in staging and in production. Which image runs, whether anybody reaches it and how many servers stay up are
# deploy.py's to say; this says how they run.
resource "google_cloud_run_v2_service" "server" {
  for_each             = local.environments
  name                 = "${local.name}-${each.key}"
  location             = var.region
  ingress              = "INGRESS_TRAFFIC_INTERNAL_ONLY" # until deploy.py opens it
  invoker_iam_disabled = true                            # the server itself asks for SERVE_TOKEN
  deletion_protection  = var.protect
  template {
    service_account                  = google_service_account.this[each.key].email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2" # the only one with buckets as folders
    timeout                          = "60s"
    max_instance_request_concurrency = 64 # serve.max_requests in params.yaml
    scaling {
      max_instance_count = each.key == "production" ? var.most_servers : 1
    }
    containers {
      image = "us-docker.pkg.dev/cloudrun/container/hello" # Google's own, which says yes to any probe; see below
      ports {
        container_port = 8000
      }
      dynamic "env" {
        for_each = { SERVE_TOKEN = "token", LOG_KEY = "log-key" }
        content {
          name = env.key
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.password[env.value].secret_id
              version = google_secret_manager_secret_version.password[env.value].version
            }
          }
        }
      }
      resources {
        limits            = { cpu = "1", memory = "2Gi" }
        cpu_idle          = false # the log is written after the answer
        startup_cpu_boost = true
      }
      # With the golden rows of its own model: an image that does not answer them takes no request from the one before.
      startup_probe {
        period_seconds    = 5
        timeout_seconds   = 4
        failure_threshold = 24
        http_get {
          path = "/readyz"
        }
      }
      liveness_probe {
        period_seconds  = 10
        timeout_seconds = 5
        http_get {
          path = "/healthz"
        }
      }
      volume_mounts {
        name       = "predictions"
        mount_path = "/app/predictions"
      }
    }
    # The log is a folder of the bucket. A file gets its name by a copy, so that a reader sees whole files only, and has
    # its server in its name, so that no two servers write the same one. They know nothing of each other's locks: two
    # may merge the same hour, which gives the same file twice, or nothing and a warning, and no row is lost.
    volumes {
      name = "predictions"
      gcs {
        bucket        = module.predictions[each.key].name
        mount_options = ["uid=10001", "gid=10001"] # the user of the image; else the folder is root's alone
      }
    }
  }
  lifecycle {
    ignore_changes = [
      client, client_version, ingress, scaling,
      template[0].containers[0].image, template[0].labels, template[0].revision,
    ]
  }
  depends_on = [google_secret_manager_secret_iam_member.reads, google_storage_bucket_iam_member.may]
}
