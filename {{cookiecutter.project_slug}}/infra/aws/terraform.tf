# What this was written for, and where its state is: a bucket of its own, made by state/.
terraform {
  required_version = ">= 1.11" # write-only arguments, which keep passwords out of the state
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100" # with which it was tried
    }
  }
  backend "s3" {
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { project = var.project }
  }
}

data "aws_caller_identity" "here" {}

locals {
  account = data.aws_caller_identity.here.account_id
  # Buckets and load balancers take no underscore and few characters.
  name = trim(substr(replace(var.project, "/_+/", "-"), 0, 24), "-")
  # Whom a workflow can reach from outside, always over TLS: its port inside, and who lets a caller in.
  doors = {
    staging    = { port = 8001, authorization = "NONE" } # the server's own: SERVE_TOKEN
    production = { port = 8000, authorization = "NONE" }
    trainer    = { port = 5000, authorization = "AWS_IAM" }
    promoter   = { port = 5001, authorization = "AWS_IAM" }
  }
  environments = toset(["staging", "production"])
}
