# `terraform test`, in the folder above: no account, no network. The whole of infra/ cannot be tested so: Terraform's mock
# providers know no ephemeral resource, and those keep the passwords out of the state.
mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  bucket = "a-state"
  region = "eu-central-1"
}

run "is_private_and_versioned" {
  module {
    source = "../bucket"
  }
  variables {
    name      = "a-bucket"
    protect   = true
    keep_days = 30
  }
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "A bucket must keep old versions."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "Nobody outside may read a bucket."
  }
  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "A protected bucket must not be destroyed with what is in it."
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.expiration[0].days if rule.id == "retention"] == [30]
    error_message = "What is in a bucket must go after keep_days."
  }
}

run "refuses_a_name_that_no_bucket_may_have" {
  command = plan
  variables {
    bucket = "A State"
  }
  expect_failures = [var.bucket]
}
