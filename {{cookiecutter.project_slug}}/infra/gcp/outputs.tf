# `terraform output -json created > created.json`: what deploy.py and login/action.yml go by. No secret is in it.
output "created" {
  description = "Names and addresses of what was made here."
  value = {
    project      = var.google_project
    region       = var.region
    name         = local.name
    registry     = local.registry
    repository   = local.repository
    predictions  = { for name in local.environments : name => module.predictions[name].name }
    accepted     = module.accepted.name
    token        = google_secret_manager_secret.password["token"].secret_id
    provider     = google_iam_workload_identity_pool_provider.github.name
    roles        = { for name in keys(local.opens) : name => google_service_account.this[name].email }
    services     = { for name, service in google_cloud_run_v2_service.server : name => service.name }
    environments = { for name, service in google_cloud_run_v2_service.server : name => service.uri }
    mlflow       = { for name, service in google_cloud_run_v2_service.mlflow : name => service.uri }
  }
}

output "dvc_config" {
  description = "The content of dvc.config."
  value       = <<-EOT
    # Written by `terraform output -raw dvc_config`: the remote is the bucket that Terraform made.
    [core]
        analytics = false
        remote = storage
    ['remote "storage"']
        url = gs://${module.dvc.name}
  EOT
}
