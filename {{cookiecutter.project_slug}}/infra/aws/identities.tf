# Who may do what. Workflows on GitHub log in without a secret, each job as what it is: what a job's token says of it
# (branch, pull request, environment) decides, and no job can say it of itself.
locals {
  # What GitHub writes into the token of a job, by the role that it opens.
  subjects = {
    reader   = ["${var.github_subject}:pull_request", "${var.github_subject}:ref:refs/heads/*"]
    trainer  = ["${var.github_subject}:ref:refs/heads/main", "${var.github_subject}:ref:refs/heads/master"]
    promoter = ["${var.github_subject}:environment:registry"]
    deployer = ["${var.github_subject}:environment:staging", "${var.github_subject}:environment:production"]
  }
  provider = coalesce(var.github_oidc_provider, one(aws_iam_openid_connect_provider.github[*].arn))
}

resource "aws_iam_openid_connect_provider" "github" {
  count          = var.github_oidc_provider == null ? 1 : 0
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "github" {
  for_each = local.subjects
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [local.provider]
    }
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }
    condition {
      test     = each.key == "reader" ? "StringLike" : "StringEquals"
      variable = "token.actions.githubusercontent.com:sub"
      values   = each.value
    }
  }
}

resource "aws_iam_role" "github" {
  for_each             = local.subjects
  name                 = "${local.name}-${each.key}"
  assume_role_policy   = data.aws_iam_policy_document.github[each.key].json
  max_session_duration = 7200
}

resource "aws_iam_role_policy" "github" {
  for_each = {
    reader   = data.aws_iam_policy_document.reader.json
    trainer  = data.aws_iam_policy_document.trainer.json
    promoter = data.aws_iam_policy_document.promoter.json
    deployer = data.aws_iam_policy_document.deployer.json
  }
  name   = "least"
  role   = aws_iam_role.github[each.key].id
  policy = each.value
}

# A pull request's code nobody has read yet: data, and nothing else.
data "aws_iam_policy_document" "reader" {
  statement {
    actions   = ["s3:ListBucket", "s3:GetObject"]
    resources = [module.dvc.arn, "${module.dvc.arn}/*"]
  }
}

# It trains and watches: data and models in, runs and versions out, what production answered, what the monitor found.
data "aws_iam_policy_document" "trainer" {
  statement {
    actions   = ["s3:ListBucket", "s3:GetObject"]
    resources = flatten([for one in [module.dvc, module.mlflow, module.predictions] : [one.arn, "${one.arn}/*"]])
  }
  statement {
    actions   = ["s3:PutObject"]
    resources = ["${module.dvc.arn}/*", "${module.mlflow.arn}/*"]
  }
  statement {
    actions   = ["execute-api:Invoke"]
    resources = ["${aws_apigatewayv2_api.door["trainer"].execution_arn}/*"]
  }
  statement {
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"] # CloudWatch knows no narrower one
    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = [local.name]
    }
  }
}

# Between training and production: the image, and the alias once production serves it.
data "aws_iam_policy_document" "promoter" {
  statement {
    actions   = ["execute-api:Invoke"]
    resources = ["${aws_apigatewayv2_api.door["promoter"].execution_arn}/*"]
  }
  statement {
    actions   = ["s3:ListBucket", "s3:GetObject"]
    resources = [module.mlflow.arn, "${module.mlflow.arn}/*"]
  }
  source_policy_documents = [data.aws_iam_policy_document.images.json]
  statement {
    actions = [
      "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
    ]
    resources = [aws_ecr_repository.images.arn]
  }
  statement {
    actions   = ["ssm:GetParameter"]
    resources = [for one in aws_ssm_parameter.image : one.arn]
  }
}

# It says which image runs.
data "aws_iam_policy_document" "deployer" {
  source_policy_documents = [data.aws_iam_policy_document.images.json]
  statement {
    actions   = ["ecs:DescribeServices", "ecs:UpdateService"]
    resources = [for one in aws_ecs_service.server : one.id]
  }
  statement {
    actions   = ["ecs:DescribeTaskDefinition", "ecs:RegisterTaskDefinition"]
    resources = ["*"] # ECS knows no narrower one; what may run is held by the services above and the roles below
  }
  statement {
    actions   = ["iam:PassRole"]
    resources = concat([aws_iam_role.execution.arn], [for one in aws_iam_role.server : one.arn])
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
  statement {
    actions   = ["ssm:GetParameter", "ssm:PutParameter"]
    resources = [for one in aws_ssm_parameter.image : one.arn]
  }
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [module.password["token"].arn]
  }
}

data "aws_iam_policy_document" "images" {
  statement {
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"] # the registry knows no narrower one
  }
  statement {
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [aws_ecr_repository.images.arn]
  }
}

# What runs here. A server's model is in its image: it reads nothing, and adds to its own log.
data "aws_iam_policy_document" "tasks" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "server" {
  for_each           = local.environments
  name               = "${local.name}-server-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

data "aws_iam_policy_document" "server" {
  for_each = local.environments
  statement {
    actions   = ["s3:PutObject", "s3:DeleteObject"]
    resources = ["${module.predictions.arn}/${each.key}/*"]
  }
  statement {
    actions   = ["s3:ListBucket"]
    resources = [module.predictions.arn]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${each.key}/*"]
    }
  }
}

resource "aws_iam_role_policy" "server" {
  for_each = local.environments
  name     = "least"
  role     = aws_iam_role.server[each.key].id
  policy   = data.aws_iam_policy_document.server[each.key].json
}

# Who starts the tasks: fetches their image and secrets, and writes down what they say.
resource "aws_iam_role" "execution" {
  name               = "${local.name}-execution"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
}

data "aws_iam_policy_document" "execution" {
  source_policy_documents = [data.aws_iam_policy_document.images.json]
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [for one in module.password : one.arn]
  }
  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.tasks.arn}:*"]
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "least"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}
