# `terraform output -json created > created.json`: what deploy.py and login/action.yml go by. No secret is in it.
output "created" {
  description = "Names and addresses of what was made here."
  value = {
    region       = var.region
    name         = local.name
    cluster      = aws_ecs_cluster.this.name
    registry     = split("/", aws_ecr_repository.images.repository_url)[0]
    repository   = aws_ecr_repository.images.repository_url
    predictions  = module.predictions.name
    token        = module.password["token"].name
    roles        = { for name, role in aws_iam_role.github : name => role.arn }
    environments = { for name in local.environments : name => trimsuffix(aws_apigatewayv2_stage.door[name].invoke_url, "/") }
    mlflow       = { for name in local.servers : name => trimsuffix(aws_apigatewayv2_stage.door[name].invoke_url, "/") }
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
        url = s3://${module.dvc.name}
  EOT
}
