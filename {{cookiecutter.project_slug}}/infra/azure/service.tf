# The server, in staging and in production. Which image runs is deploy.py's to say; this says how.
resource "azurerm_log_analytics_workspace" "this" {
  name                = "${local.name}-logs"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  sku                 = "PerGB2018"
  retention_in_days   = 90 # as long as the predictions that they belong to
}

resource "azurerm_container_app_environment" "this" {
  name                               = local.name
  resource_group_name                = azurerm_resource_group.this.name
  location                           = var.region
  infrastructure_subnet_id           = azurerm_subnet.this["apps"].id
  infrastructure_resource_group_name = "${local.name}-apps"
  logs_destination                   = "log-analytics"
  log_analytics_workspace_id         = azurerm_log_analytics_workspace.this.id
  workload_profile {
    name                  = "Consumption"
    workload_profile_type = "Consumption"
  }
  depends_on = [azurerm_subnet_network_security_group_association.this]
}

resource "azurerm_container_app" "server" {
  for_each                     = local.apps
  name                         = each.key
  resource_group_name          = azurerm_resource_group.this.name
  container_app_environment_id = azurerm_container_app_environment.this.id
  workload_profile_name        = "Consumption"
  revision_mode                = "Single" # a new one takes over once it is ready, and not before
  max_inactive_revisions       = 10
  # What was accepted last, for deploy.py to go back to: on the app itself, where it lasts as long as what it speaks of.
  tags = { accepted = "none" }
  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.app[each.key].id]
  }
  registry {
    server   = azurerm_container_registry.images.login_server
    identity = azurerm_user_assigned_identity.app[each.key].id
  }
  dynamic "secret" {
    for_each = toset(["token", "log-key"])
    content {
      name                = secret.key
      identity            = azurerm_user_assigned_identity.app[each.key].id
      key_vault_secret_id = azurerm_key_vault_secret.password[secret.key].versionless_id
    }
  }
  ingress {
    external_enabled = true # the server itself asks for SERVE_TOKEN
    target_port      = 8000
    transport        = "http"
    traffic_weight {
      latest_revision = true
      percentage      = 100
    }
  }
  template {
    min_replicas                     = 1
    max_replicas                     = each.key == "production" ? var.most_servers : 1
    termination_grace_period_seconds = 75 # the server needs up to 35, and its log the rest
    http_scale_rule {
      name                = "requests"
      concurrent_requests = "32" # half of serve.max_requests
    }
    volume {
      name         = "predictions"
      storage_type = "EmptyDir"
    }
    container {
      name   = "server"
      image  = local.image # until deploy.py says which; without a bundle, files of no content answer the probes
      cpu    = 0.75
      memory = "1.5Gi"
      command = ["sh", "-c", <<-EOT
        [ -d bundle ] && exec python -m ${var.project} serve --host 0.0.0.0 --bundle bundle
        mkdir -p /tmp/none && cd /tmp/none && touch healthz readyz && exec python -m http.server "$PORT"
        EOT
      ]
      env {
        name  = "PORT"
        value = "8000"
      }
      env {
        name        = "SERVE_TOKEN"
        secret_name = "token"
      }
      env {
        name        = "LOG_KEY"
        secret_name = "log-key"
      }
      volume_mounts {
        name = "predictions"
        path = "/app/predictions"
      }
      startup_probe {
        transport               = "HTTP"
        port                    = 8000
        path                    = "/healthz"
        interval_seconds        = 10
        failure_count_threshold = 10
      }
      readiness_probe {
        # With the golden rows of its own model.
        transport        = "HTTP"
        port             = 8000
        path             = "/readyz"
        interval_seconds = 10
        timeout          = 5
      }
      liveness_probe {
        transport        = "HTTP"
        port             = 8000
        path             = "/healthz"
        interval_seconds = 10
        timeout          = 5
      }
    }
    # Beside each server, of which only the folder of its log is shared.
    container {
      name    = "log"
      image   = local.image # for its Python and Azure's libraries
      cpu     = 0.25
      memory  = "0.5Gi"
      command = [local.python, "-c", file("${path.module}/ship.py")]
      env {
        name  = "CONTAINER"
        value = "https://${module.storage.name}.blob.core.windows.net/predictions-${each.key}"
      }
      env {
        name  = "IDENTITY"
        value = azurerm_user_assigned_identity.app[each.key].client_id
      }
      volume_mounts {
        name = "predictions"
        path = "/app/predictions"
      }
    }
  }
  lifecycle {
    ignore_changes = [template[0].container[0].image, tags["accepted"]]
  }
  depends_on = [azurerm_role_assignment.least]
}
