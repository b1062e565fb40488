# `terraform output -json created > created.json`: what deploy.py and login/action.yml go by. No secret is in it.
output "created" {
  description = "Names and addresses of what was made here."
  value = {
    subscription = var.subscription
    tenant       = data.azurerm_client_config.here.tenant_id
    group        = azurerm_resource_group.this.name
    registry     = azurerm_container_registry.images.login_server
    account      = module.storage.name
    vault        = azurerm_key_vault.this.name
    doors        = azuread_application.doors.client_id
    roles        = { for name, one in azurerm_user_assigned_identity.github : name => one.client_id }
    environments = { for name, one in azurerm_container_app.server : name => { id = one.id, url = "https://${one.ingress[0].fqdn}" } }
    mlflow       = { for name, one in azurerm_container_app.mlflow : name => "https://${one.ingress[0].fqdn}" }
    monitor = join("", [
      azurerm_monitor_data_collection_endpoint.monitor.logs_ingestion_endpoint,
      "/dataCollectionRules/", azurerm_monitor_data_collection_rule.monitor.immutable_id,
      "/streams/Custom-Monitor_CL?api-version=2023-01-01",
    ])
  }
}

output "dvc_config" {
  description = "The content of dvc.config."
  value       = <<-EOT
    # Written by `terraform output -raw dvc_config`: the remote is the container that Terraform made.
    [core]
        analytics = false
        remote = storage
    ['remote "storage"']
        url = azure://dvc
        account_name = ${module.storage.name}
  EOT
}
