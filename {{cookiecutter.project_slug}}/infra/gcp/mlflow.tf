# MLflow on PostgreSQL, twice: the trainer's, whose role in the database cannot move `champion` (roles.sql), and the
# promoter's, which owns the tables. Files go past it, between its clients and the bucket.
locals {
  secrets          = setunion(local.servers, ["token", "log-key"])
  password_version = 1 # one number higher, and one apply, gives all of them anew
  database         = "${google_compute_address.database.address}/mlflow?sslmode=require"
  mlflow_image     = "${local.repository}-mlflow:${coalesce(var.mlflow_image, "none")}"
}

# Made anew at each run, and forgotten after it: only that of a new version is written, to the store and the database.
ephemeral "random_password" "new" {
  for_each = local.secrets
  length   = 40
  special  = false
}

resource "google_secret_manager_secret" "password" {
  for_each            = local.secrets
  secret_id           = "${local.name}-${each.key}"
  deletion_protection = var.protect
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "password" {
  for_each               = google_secret_manager_secret.password
  secret                 = each.value.id
  secret_data_wo         = ephemeral.random_password.new[each.key].result
  secret_data_wo_version = local.password_version
  # Next to the database's user in time: what breaks between the two leaves them with different passwords.
  depends_on = [google_sql_database_instance.mlflow]
  lifecycle {
    create_before_destroy = true
  }
}

# The database has no address but one in here, and nothing else is in here: MLflow comes from its own services alone.
resource "google_compute_network" "mlflow" {
  #checkov:skip=CKV2_GCP_18:no machine is in it; without a rule nothing may enter
  name                    = "${local.name}-mlflow"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "mlflow" {
  #checkov:skip=CKV_GCP_26:flow logs are for who must answer for every packet; calls are in the logs of the services
  #checkov:skip=CKV_GCP_76:it has no IPv6
  name                     = "${local.name}-mlflow"
  network                  = google_compute_network.mlflow.id
  ip_cidr_range            = "10.20.0.0/24"
  private_ip_google_access = true
}

resource "google_compute_address" "database" {
  name         = "${local.name}-database"
  subnetwork   = google_compute_subnetwork.mlflow.id
  address_type = "INTERNAL"
}

resource "google_compute_forwarding_rule" "database" {
  name                  = "${local.name}-database"
  network               = google_compute_network.mlflow.id
  ip_address            = google_compute_address.database.id
  target                = google_sql_database_instance.mlflow.psc_service_attachment_link
  load_balancing_scheme = "" # what Google wants where the target is such a link
}

resource "google_sql_database_instance" "mlflow" {
  #checkov:skip=CKV_GCP_6:it takes no connection without TLS; who connects shows a password, and no certificate
  #checkov:skip=CKV2_GCP_13:what MLflow does is in its own records
  #checkov:skip=CKV_GCP_51:what MLflow does is in its own records
  #checkov:skip=CKV_GCP_52:who reaches it is two services
  #checkov:skip=CKV_GCP_53:who reaches it is two services
  #checkov:skip=CKV_GCP_54:one client writes at a time
  #checkov:skip=CKV_GCP_55:as PostgreSQL has it: warnings and errors
  #checkov:skip=CKV_GCP_79:the version that the project's own tests run
  #checkov:skip=CKV_GCP_108:one address reaches it
  #checkov:skip=CKV_GCP_109:as PostgreSQL has it: errors
  #checkov:skip=CKV_GCP_110:what MLflow does is in its own records
  #checkov:skip=CKV_GCP_111:what MLflow does is in its own records
  name                = "${local.name}-mlflow"
  database_version    = "POSTGRES_17"
  deletion_protection = var.protect
  settings {
    tier                        = "db-g1-small"
    edition                     = "ENTERPRISE"
    availability_type           = "ZONAL" # a registry that is away for minutes stops a promotion, and no server
    disk_size                   = 10
    disk_autoresize_limit       = 100
    deletion_protection_enabled = var.protect
    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
      backup_retention_settings {
        retained_backups = 14
      }
    }
    ip_configuration {
      ipv4_enabled = false
      ssl_mode     = "ENCRYPTED_ONLY"
      psc_config {
        psc_enabled               = true
        allowed_consumer_projects = [var.google_project]
      }
    }
  }
}

resource "google_sql_database" "mlflow" {
  name            = "mlflow"
  instance        = google_sql_database_instance.mlflow.name
  deletion_policy = "ABANDON" # it goes with the instance
}

# The other role is made by roles.sql: one that Google makes could make others.
resource "google_sql_user" "promoter" {
  name                = "promoter"
  instance            = google_sql_database_instance.mlflow.name
  password_wo         = ephemeral.random_password.new["promoter"].result
  password_wo_version = local.password_version
  deletion_policy     = "ABANDON" # it goes with the instance, before which its tables hold it
}

# Makes the tables, or brings those of an older MLflow up to date, then lets the trainer into them.
resource "google_cloud_run_v2_job" "roles" {
  count               = var.mlflow_image == null ? 0 : 1
  name                = "${local.name}-mlflow-roles"
  location            = var.region
  deletion_protection = false # it holds nothing
  template {
    template {
      service_account = google_service_account.this["ml-promoter"].email
      timeout         = "600s"
      max_retries     = 1
      containers {
        image = local.mlflow_image
        command = ["/opt/venv/bin/python", "-c", <<-EOT
          import os, psycopg, subprocess
          server = "postgresql+psycopg://" + os.environ["DATABASE"]
          subprocess.run(["/opt/venv/bin/mlflow", "db", "upgrade", server], check=True)
          with psycopg.connect("postgresql://" + os.environ["DATABASE"]) as database:
              database.execute("select set_config('roles.trainer', %s, false)", [os.environ["TRAINER"]])
              database.execute(os.environ["ROLES"])
          EOT
        ]
        dynamic "env" {
          for_each = {
            DATABASE = "promoter@${local.database}"
            ROLES    = file("${path.module}/roles.sql")
          }
          content {
            name  = env.key
            value = env.value
          }
        }
        dynamic "env" {
          for_each = { PGPASSWORD = "promoter", TRAINER = "trainer" }
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
          limits = { cpu = "1", memory = "2Gi" }
        }
      }
      vpc_access {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = google_compute_network.mlflow.id
          subnetwork = google_compute_subnetwork.mlflow.id
        }
      }
    }
  }
  depends_on = [
    google_secret_manager_secret_iam_member.reads, google_sql_database.mlflow, google_sql_user.promoter,
    google_compute_forwarding_rule.database,
  ]
}

# Before the servers, and again for another MLflow, other roles or other passwords. Terraform only makes a job: this
# runs it, by the command line that deploy.py takes as well.
resource "terraform_data" "roles" {
  count            = length(google_cloud_run_v2_job.roles)
  triggers_replace = [local.mlflow_image, filesha256("${path.module}/roles.sql"), local.password_version]
  provisioner "local-exec" {
    command = join(" ", [
      "gcloud run jobs execute ${google_cloud_run_v2_job.roles[0].name} --wait --quiet",
      "--project=${var.google_project} --region=${var.region}",
    ])
  }
}

resource "google_cloud_run_v2_service" "mlflow" {
  for_each            = var.mlflow_image == null ? toset([]) : local.servers
  name                = "${local.name}-mlflow-${each.key}"
  location            = var.region
  ingress             = "INGRESS_TRAFFIC_ALL" # from GitHub; who gets in is run.invoker's decision (identities.tf)
  deletion_protection = false                 # it holds nothing
  template {
    service_account                  = google_service_account.this["ml-${each.key}"].email
    max_instance_request_concurrency = 40
    scaling {
      min_instance_count = 0 # after a quiet quarter of an hour a request waits some 20 s for it
      max_instance_count = 1
    }
    containers {
      image = local.mlflow_image
      command = [
        "/opt/venv/bin/mlflow", "server", "--host=0.0.0.0", "--port=5000", "--workers=1",
        "--backend-store-uri=postgresql+psycopg://${each.key}@${local.database}",
        "--no-serve-artifacts", "--default-artifact-root=gs://${module.mlflow.name}",
        "--allowed-hosts=*", # Google has looked at who comes
      ]
      ports {
        container_port = 5000
      }
      dynamic "env" {
        for_each = { MLFLOW_SERVER_ENABLE_JOB_EXECUTION = "false", MLFLOW_DISABLE_TELEMETRY = "true", HOME = "/tmp" }
        content {
          name  = env.key
          value = env.value
        }
      }
      env {
        name = "PGPASSWORD"
        value_source {
          secret_key_ref {
            secret  = google_secret_manager_secret.password[each.key].secret_id
            version = google_secret_manager_secret_version.password[each.key].version
          }
        }
      }
      resources {
        limits            = { cpu = "1", memory = "2Gi" }
        cpu_idle          = true
        startup_cpu_boost = true
      }
      startup_probe {
        period_seconds    = 5
        timeout_seconds   = 4
        failure_threshold = 24
        http_get {
          path = "/health"
        }
      }
      liveness_probe {
        period_seconds  = 30
        timeout_seconds = 5
        http_get {
          path = "/health"
        }
      }
    }
    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"
      network_interfaces {
        network    = google_compute_network.mlflow.id
        subnetwork = google_compute_subnetwork.mlflow.id
      }
    }
  }
  depends_on = [terraform_data.roles, google_secret_manager_secret_iam_member.reads]
}
