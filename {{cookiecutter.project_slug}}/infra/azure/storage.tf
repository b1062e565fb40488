# What is kept: data and models by DVC, what MLflow logged, what was predicted, images.
module "storage" {
  source         = "./storage"
  name           = local.plain
  resource_group = azurerm_resource_group.this.name
  region         = var.region
  protect        = var.protect
  containers = merge(
    { dvc = 0, mlflow = 0 },
    { for name in local.environments : "predictions-${name}" => var.keep_days },
  )
}

# `cd` names its images by the repository on GitHub; MLflow's is `mlflow`. What is scanned and locked: README.
resource "azurerm_container_registry" "images" {
  #checkov:skip=CKV_AZURE_139:workflows of GitHub come from any address; who gets in is Entra's decision
  #checkov:skip=CKV_AZURE_164:what an image was made of is attested by GitHub, and the digest is what is deployed
  #checkov:skip=CKV_AZURE_165:one region: another one's copy is for who must outlive a region
  #checkov:skip=CKV_AZURE_166:quarantine keeps each image until a scanner of one's own frees it; without one, nothing runs
  #checkov:skip=CKV_AZURE_167:what has lost its tag may be what one rolls back to
  #checkov:skip=CKV_AZURE_233:zones come with the sku Premium: without the registry servers run on, only a new one waits
  #checkov:skip=CKV_AZURE_237:an endpoint of its own comes with the sku Premium, for firewalls that ask for it
  name                = local.plain
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
  sku                 = "Standard"
  admin_enabled       = false
}
