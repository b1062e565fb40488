# Who may do what. Workflows on GitHub log in without a secret, each job as what it is: what a job's token says of it
# (branch, pull request, environment) decides, and no job can say it of itself.
locals {
  # What GitHub writes into the token of a job, by the role that it opens. Azure knows no pattern: each is said in full.
  subjects = {
    reader   = ["pull_request", "ref:refs/heads/main", "ref:refs/heads/master"]
    trainer  = ["ref:refs/heads/main", "ref:refs/heads/master"]
    promoter = ["environment:registry"]
    deployer = ["environment:staging", "environment:production"]
  }
  # What runs here, and the secrets that it is told.
  reads = {
    mlflow-promoter = ["promoter", "trainer"]
    mlflow-trainer  = ["trainer"]
    staging         = ["token", "log-key"]
    production      = ["token", "log-key"]
  }
}

resource "azurerm_user_assigned_identity" "github" {
  for_each            = local.subjects
  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
}

resource "azurerm_federated_identity_credential" "github" {
  for_each = merge([for role, subjects in local.subjects : {
    for subject in subjects : "${role}-${replace(subject, "/[:\\/]/", "-")}" => { role = role, subject = subject }
  }]...)
  name                = each.key
  resource_group_name = azurerm_resource_group.this.name
  parent_id           = azurerm_user_assigned_identity.github[each.value.role].id
  issuer              = "https://token.actions.githubusercontent.com"
  audience            = ["api://AzureADTokenExchange"]
  subject             = "${var.github_subject}:${each.value.subject}"
}

resource "azurerm_user_assigned_identity" "app" {
  for_each            = local.reads
  name                = "${local.name}-app-${each.key}"
  resource_group_name = azurerm_resource_group.this.name
  location            = var.region
}

# Roles that are narrower than Azure's own.
locals {
  blobs = "Microsoft.Storage/storageAccounts/blobServices/containers"
  narrow = {
    # New files and new versions of files; nothing goes.
    adds = {
      actions = ["${local.blobs}/read"]
      data    = ["${local.blobs}/blobs/read", "${local.blobs}/blobs/write", "${local.blobs}/blobs/add/action"]
    }
    # A server's log: it writes and removes what is its own, and reads nothing.
    logs = {
      actions = []
      data    = ["${local.blobs}/blobs/write", "${local.blobs}/blobs/add/action", "${local.blobs}/blobs/delete"]
    }
    # Which image an app runs, whether it runs, and the tag that says what was accepted.
    deploys = {
      actions = [
        "Microsoft.App/containerApps/read", "Microsoft.App/containerApps/write", "Microsoft.App/containerApps/revisions/read",
        "Microsoft.App/containerApps/revisions/activate/action", "Microsoft.App/containerApps/revisions/deactivate/action",
        "Microsoft.App/managedEnvironments/read", "Microsoft.App/managedEnvironments/join/action",
        "Microsoft.ManagedIdentity/userAssignedIdentities/read", "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
        "Microsoft.Resources/tags/read", "Microsoft.Resources/tags/write",
      ]
      data = []
    }
  }
}

resource "azurerm_role_definition" "narrow" {
  for_each = local.narrow
  name     = "${local.name}-${local.tail}-${each.key}"
  scope    = azurerm_resource_group.this.id
  permissions {
    actions      = each.value.actions
    data_actions = each.value.data
  }
}

locals {
  github  = { for name, one in azurerm_user_assigned_identity.github : name => one.principal_id }
  app     = { for name, one in azurerm_user_assigned_identity.app : name => one.principal_id }
  own     = { for name, one in azurerm_role_definition.narrow : name => one.role_definition_resource_id }
  secrets = { for name, one in azurerm_key_vault_secret.password : name => one.resource_versionless_id }
  held    = module.storage.containers
  images  = azurerm_container_registry.images.id
  monitor = azurerm_monitor_data_collection_rule.monitor.id

  least = merge(
    {
      # A pull request's code nobody has read yet: data, and nothing else.
      reader-dvc = { who = local.github.reader, may = "Storage Blob Data Reader", what = local.held["dvc"] }

      # It trains and watches: data and models in, runs and versions out, what production answered, what the monitor found.
      trainer-dvc         = { who = local.github.trainer, may = "adds", what = local.held["dvc"] }
      trainer-mlflow      = { who = local.github.trainer, may = "adds", what = local.held["mlflow"] }
      trainer-predictions = { who = local.github.trainer, may = "Storage Blob Data Reader", what = local.held["predictions-production"] }
      trainer-monitor     = { who = local.github.trainer, may = "Monitoring Metrics Publisher", what = local.monitor }

      # Between training and production: the image, and the alias once production serves it.
      promoter-mlflow = { who = local.github.promoter, may = "Storage Blob Data Reader", what = local.held["mlflow"] }
      promoter-images = { who = local.github.promoter, may = "AcrPush", what = local.images }

      # It says which image runs.
      deployer-images      = { who = local.github.deployer, may = "AcrPull", what = local.images }
      deployer-token       = { who = local.github.deployer, may = "Key Vault Secrets User", what = local.secrets["token"] }
      deployer-environment = { who = local.github.deployer, may = "deploys", what = azurerm_container_app_environment.this.id }
    },
    { for name in local.environments : "deployer-${name}-identity" =>
    { who = local.github.deployer, may = "deploys", what = azurerm_user_assigned_identity.app[name].id } },

    # What runs here. A server's model is in its image: it reads nothing but its token, and adds to its own log.
    { for name, secrets in local.reads : "${name}-images" => { who = local.app[name], may = "AcrPull", what = local.images } },
    merge([for name, secrets in local.reads : { for secret in secrets : "${name}-${secret}" =>
    { who = local.app[name], may = "Key Vault Secrets User", what = local.secrets[secret] } }]...),
    { for name in local.environments : "${name}-log" =>
    { who = local.app[name], may = "logs", what = local.held["predictions-${name}"] } },
  )
}

resource "azurerm_role_assignment" "least" {
  for_each             = local.least
  principal_id         = each.value.who
  principal_type       = "ServicePrincipal"
  role_definition_name = contains(keys(local.narrow), each.value.may) ? null : each.value.may
  role_definition_id   = contains(keys(local.narrow), each.value.may) ? local.own[each.value.may] : null
  scope                = each.value.what
}

# On the apps themselves, which come after the roles that they run with.
resource "azurerm_role_assignment" "deployer" {
  for_each           = azurerm_container_app.server
  principal_id       = local.github.deployer
  principal_type     = "ServicePrincipal"
  role_definition_id = local.own["deploys"]
  scope              = each.value.id
}

# What runs already? `cd` asks before it builds.
resource "azurerm_role_assignment" "promoter" {
  for_each             = azurerm_container_app.server
  principal_id         = local.github.promoter
  principal_type       = "ServicePrincipal"
  role_definition_name = "Reader"
  scope                = each.value.id
}
