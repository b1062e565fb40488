# A password that AWS makes and its store alone keeps: Terraform hands it on, and writes it down nowhere.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "name" {
  description = "Its name in the store."
  type        = string
}

variable "protect" {
  description = "Keep it for a week after it was destroyed."
  type        = bool
}

ephemeral "aws_secretsmanager_random_password" "new" {
  password_length     = 40
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV_AWS_149:encrypted with the store's own key, as the buckets are with theirs
  #checkov:skip=CKV2_AWS_57:a new one is one number higher below, and one apply; tasks read it when they start
  name                    = var.name
  recovery_window_in_days = var.protect ? 7 : 0
}

resource "aws_secretsmanager_secret_version" "this" {
  secret_id                = aws_secretsmanager_secret.this.id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.new.random_password
  secret_string_wo_version = 1
}

# As the store has it: made now, or long ago.
ephemeral "aws_secretsmanager_secret_version" "this" {
  secret_id = aws_secretsmanager_secret_version.this.secret_id
}

output "name" {
  description = "Its name in the store."
  value       = aws_secretsmanager_secret.this.name
}

output "arn" {
  description = "What may be read by who may read it."
  value       = aws_secretsmanager_secret_version.this.arn
}

output "version" {
  description = "Higher, where it is another one."
  value       = aws_secretsmanager_secret_version.this.secret_string_wo_version
}

output "value" {
  description = "The password."
  value       = ephemeral.aws_secretsmanager_secret_version.this.secret_string
  ephemeral   = true
}
