# MLflow on PostgreSQL, twice: the trainer's, whose role in the database cannot move `champion` (roles.sql), and the
# promoter's, which owns the tables. Files go past it, between its clients and the storage account.
locals {
  passwords = toset(["promoter", "trainer", "token", "log-key"]) # of the database's two roles, and of the servers
  database = { for role in local.doors : role =>
    "${role}@${azurerm_postgresql_flexible_server.mlflow.fqdn}/mlflow?sslmode=require"
  }
  python = "/opt/venv/bin/python"
  # What comes before a server, in this order. The trainer's has its role once the promoter's has run roles.sql.
  mlflow_first = {
    promoter = [
      { name = "tables", command = ["/opt/venv/bin/mlflow", "db", "upgrade"], last = "postgresql+psycopg://" },
      { name = "roles", command = [local.python, "-c", <<-EOT
        import base64, os, sys, psycopg
        with psycopg.connect(sys.argv[1]) as database:
            database.execute("select set_config('roles.trainer', %s, false)", [os.environ["TRAINER"]])
            database.execute(base64.b64decode(os.environ["ROLES"]).decode())
        EOT
      ], last = "postgresql://" },
    ]
    trainer = [
      { name = "wait", command = [local.python, "-c", <<-EOT
        import sys, time, psycopg
        while True:
            try:
                sys.exit(psycopg.connect(sys.argv[1]).close())
            except psycopg.OperationalError as error:
                print(error, flush=True)
                time.sleep(5)
        EOT
      ], last = "postgresql://" },
    ]
  }
}

# Generated, and kept in the vault alone: Terraform hands them on and forgets them.
ephemeral "random_password" "new" {
  for_each = local.passwords
  length   = 40
  special  = false
}

resource "azurerm_key_vault" "this" {
  #checkov:skip=CKV_AZURE_109:workflows of GitHub come from any address; who gets in is Entra's decision
  #checkov:skip=CKV_AZURE_189:workflows of GitHub come from any address; who gets in is Entra's decision
  #checkov:skip=CKV2_AZURE_32:workflows of GitHub are in no network of ours
  name                       = local.plain
  resource_group_name        = azurerm_resource_group.this.name
  location                   = var.region
  tenant_id                  = data.azurerm_client_config.here.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 7
}

# An owner of the subscription may make the vault, and still not write into it.
resource "azurerm_role_assignment" "vault" {
  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = data.azurerm_client_config.here.object_id
}

resource "azurerm_key_vault_secret" "password" {
  #checkov:skip=CKV_AZURE_41:a new one is one number higher below, and one apply; none stops a server on a date
  for_each         = local.passwords
  name             = each.key
  key_vault_id     = azurerm_key_vault.this.id
  content_type     = "password"
  value_wo         = ephemeral.random_password.new[each.key].result
  value_wo_version = 1
  depends_on       = [azurerm_role_assignment.vault]
}

# By the secret's address, which is known once it is there, and not before.
ephemeral "azurerm_key_vault_secret" "promoter" {
  name         = basename(azurerm_key_vault_secret.password["promoter"].versionless_id)
  key_vault_id = azurerm_key_vault.this.id
}

resource "azurerm_postgresql_flexible_server" "mlflow" {
  #checkov:skip=CKV_AZURE_136:one region: another one's copy is for who must outlive a region
  #checkov:skip=CKV2_AZURE_57:it is in the network itself, by delegation, and has no public address
  name                              = "${local.name}-${local.tail}"
  resource_group_name               = azurerm_resource_group.this.name
  location                          = var.region
  version                           = "16"
  sku_name                          = "B_Standard_B1ms"
  storage_mb                        = 32768
  auto_grow_enabled                 = true
  administrator_login               = "promoter"
  administrator_password_wo         = ephemeral.azurerm_key_vault_secret.promoter.value
  administrator_password_wo_version = azurerm_key_vault_secret.password["promoter"].value_wo_version
  delegated_subnet_id               = azurerm_subnet.this["database"].id
  private_dns_zone_id               = azurerm_private_dns_zone.database.id
  public_network_access_enabled     = false
  backup_retention_days             = 14
  lifecycle {
    ignore_changes = [zone] # Azure's to choose
  }
  depends_on = [azurerm_private_dns_zone_virtual_network_link.database]
}

resource "azurerm_postgresql_flexible_server_database" "mlflow" {
  name      = "mlflow"
  server_id = azurerm_postgresql_flexible_server.mlflow.id
}

# As storage/ keeps its account.
resource "terraform_data" "protect" {
  input = var.protect
  provisioner "local-exec" {
    when    = destroy
    command = self.input ? "echo It holds data: apply protect=false first. && exit 1" : "exit 0"
  }
  depends_on = [azurerm_postgresql_flexible_server_database.mlflow, azurerm_key_vault_secret.password]
}

resource "azurerm_container_app" "mlflow" {
  for_each                     = local.doors
  name                         = "mlflow-${each.key}"
  resource_group_name          = azurerm_resource_group.this.name
  container_app_environment_id = azurerm_container_app_environment.this.id
  workload_profile_name        = "Consumption"
  revision_mode                = "Single"
  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.app["mlflow-${each.key}"].id]
  }
  registry {
    server   = azurerm_container_registry.images.login_server
    identity = azurerm_user_assigned_identity.app["mlflow-${each.key}"].id
  }
  dynamic "secret" {
    for_each = local.reads["mlflow-${each.key}"]
    content {
      name                = secret.value
      identity            = azurerm_user_assigned_identity.app["mlflow-${each.key}"].id
      key_vault_secret_id = azurerm_key_vault_secret.password[secret.value].versionless_id
    }
  }
  ingress {
    external_enabled = true # behind its door, below
    target_port      = 5000
    transport        = "http"
    traffic_weight {
      latest_revision = true
      percentage      = 100
    }
  }
  template {
    min_replicas = 1
    max_replicas = 1
    dynamic "init_container" {
      for_each = local.mlflow_first[each.key]
      content {
        name    = init_container.value.name
        image   = local.image
        cpu     = 0.5
        memory  = "1Gi"
        command = concat(init_container.value.command, ["${init_container.value.last}${local.database[each.key]}"])
        env {
          name        = "PGPASSWORD"
          secret_name = each.key
        }
        dynamic "env" {
          for_each = init_container.value.name == "roles" ? [1] : []
          content {
            name        = "TRAINER"
            secret_name = "trainer"
          }
        }
        dynamic "env" {
          for_each = init_container.value.name == "roles" ? [1] : []
          content {
            name  = "ROLES"
            value = filebase64("${path.module}/roles.sql") # as it is, Container Apps would read two dollars as one
          }
        }
      }
    }
    container {
      name   = "mlflow"
      image  = local.image
      cpu    = 0.5
      memory = "1Gi"
      command = [
        "/opt/venv/bin/mlflow", "server", "--host=0.0.0.0", "--port=5000", "--workers=1",
        "--backend-store-uri=postgresql+psycopg://${local.database[each.key]}",
        "--no-serve-artifacts", "--default-artifact-root=wasbs://mlflow@${module.storage.name}.blob.core.windows.net",
        "--allowed-hosts=*", # who gets in is the door's decision
      ]
      env {
        name        = "PGPASSWORD"
        secret_name = each.key
      }
      dynamic "env" {
        for_each = { MLFLOW_SERVER_ENABLE_JOB_EXECUTION = "false", MLFLOW_DISABLE_TELEMETRY = "true", HOME = "/tmp" }
        content {
          name  = env.key
          value = env.value
        }
      }
      startup_probe {
        transport               = "HTTP"
        port                    = 5000
        path                    = "/health"
        interval_seconds        = 30
        failure_count_threshold = 10
      }
      liveness_probe {
        transport        = "HTTP"
        port             = 5000
        path             = "/health"
        interval_seconds = 30
        timeout          = 5
      }
    }
  }
  depends_on = [azurerm_role_assignment.least, azurerm_postgresql_flexible_server_database.mlflow]
}

# The doors: Container Apps asks for a token of Entra that was made for this application, and lets in one identity alone.
resource "azuread_application" "doors" {
  display_name     = "${local.name}-doors"
  sign_in_audience = "AzureADMyOrg"
  api {
    requested_access_token_version = 2
  }
}

resource "azuread_service_principal" "doors" {
  client_id = azuread_application.doors.client_id
}

# The provider has no resource for it, so Azure's own template says it. A new app stands open for the seconds until then;
# who deletes one by hand gives it a door again by `terraform apply -replace` of this resource (README).
resource "azurerm_resource_group_template_deployment" "door" {
  for_each            = azurerm_container_app.mlflow
  name                = "${each.value.name}-door"
  resource_group_name = azurerm_resource_group.this.name
  deployment_mode     = "Incremental"
  template_content = jsonencode({
    "$schema"      = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    contentVersion = "1.0.0.0"
    resources = [{
      type       = "Microsoft.App/containerApps/authConfigs"
      apiVersion = "2024-03-01"
      name       = "${each.value.name}/current"
      properties = {
        platform         = { enabled = true }
        globalValidation = { unauthenticatedClientAction = "Return401" }
        identityProviders = {
          azureActiveDirectory = {
            enabled = true
            registration = {
              clientId     = azuread_application.doors.client_id
              openIdIssuer = "https://login.microsoftonline.com/${data.azurerm_client_config.here.tenant_id}/v2.0"
            }
            validation = {
              allowedAudiences = [azuread_application.doors.client_id]
              defaultAuthorizationPolicy = {
                allowedApplications = [azurerm_user_assigned_identity.github[each.key].client_id]
                allowedPrincipals   = { identities = [azurerm_user_assigned_identity.github[each.key].principal_id] }
              }
            }
          }
        }
      }
    }]
  })
  lifecycle {
    replace_triggered_by = [azurerm_container_app.mlflow[each.key].id]
  }
}
