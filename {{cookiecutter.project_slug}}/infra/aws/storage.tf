# What is kept: data and models by DVC, what MLflow logged, what was predicted, images.
module "dvc" {
  source  = "./bucket"
  name    = "${local.name}-dvc-${local.account}"
  protect = var.protect
}

module "mlflow" {
  source  = "./bucket"
  name    = "${local.name}-mlflow-${local.account}"
  protect = var.protect
}

module "predictions" {
  source    = "./bucket"
  name      = "${local.name}-predictions-${local.account}"
  keep_days = var.keep_days
  protect   = var.protect
}

# The name that `cd` gives its images: a registry's address and the repository's on GitHub.
resource "aws_ecr_repository" "images" {
  #checkov:skip=CKV_AWS_136:encrypted with the registry's own key, as the buckets are with theirs
  name                 = lower(replace(var.github_subject, "/^repo:|@[0-9]+/", "")) # OWNER/NAME
  image_tag_mutability = "IMMUTABLE"
  force_delete         = !var.protect
  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "images" {
  repository = aws_ecr_repository.images.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "as far back as one would roll"
      selection    = { tagStatus = "tagged", tagPrefixList = ["content-"], countType = "imageCountMoreThan", countNumber = 100 }
      action       = { type = "expire" }
    }]
  })
}
