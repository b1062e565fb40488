# What is kept: data and models by DVC, what MLflow logged, what was predicted, what was accepted, images.
module "dvc" {
  source   = "./bucket"
  name     = "${local.name}-dvc-${local.number}"
  location = var.region
  protect  = var.protect
}

module "mlflow" {
  source   = "./bucket"
  name     = "${local.name}-mlflow-${local.number}"
  location = var.region
  protect  = var.protect
}

# One for each environment: a server may do with its own log what it likes, and sees no other.
module "predictions" {
  for_each  = local.environments
  source    = "./bucket"
  name      = "${local.name}-predictions-${each.key}-${local.number}"
  location  = var.region
  keep_days = var.keep_days
  protect   = var.protect
}

# One object for each environment, which deploy.py writes: the image that was accepted last, to go back to. A service
# knows what runs, not what passed, and its annotations go with what is rolled out; a tag may not move here.
module "accepted" {
  source   = "./bucket"
  name     = "${local.name}-accepted-${local.number}"
  location = var.region
  protect  = var.protect
}

# `cd` names its images by this repository's address and the repository's name on GitHub.
resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:encrypted with the registry's own key, as the buckets are with theirs
  repository_id = local.name
  location      = var.region
  format        = "DOCKER"
  docker_config {
    immutable_tags = true
  }
  vulnerability_scanning_config {
    enablement_config = "INHERITED" # on, where the API containerscanning is (README)
  }
}

locals {
  registry   = "${var.region}-docker.pkg.dev/${var.google_project}/${google_artifact_registry_repository.images.repository_id}"
  repository = "${local.registry}/${lower(replace(var.github_subject, "/^repo:|@[0-9]+/", ""))}"
}
