# MLflow on PostgreSQL, twice: the trainer's, whose role in the database cannot move `champion` (roles.sql), and the
# promoter's, which owns the tables. Files go past it, between its clients and the bucket.
locals {
  servers = toset(["promoter", "trainer"])
}

# `token` is what asks for predictions, `log-key` what hides private columns in their log.
module "password" {
  for_each = setunion(local.servers, ["token", "log-key"])
  source   = "./password"
  name     = "${local.name}/${each.key}"
  protect  = var.protect
}

resource "aws_db_subnet_group" "mlflow" {
  name       = "${local.name}-mlflow"
  subnet_ids = values(aws_subnet.private)[*].id
}

resource "aws_db_instance" "mlflow" {
  #checkov:skip=CKV_AWS_118:the load balancer's figures say when MLflow is slow
  #checkov:skip=CKV_AWS_157:one zone: a registry that is away for minutes stops a promotion, and no server
  #checkov:skip=CKV_AWS_161:MLflow takes a password; it is in the secret store alone
  #checkov:skip=CKV_AWS_354:no performance insights, so nothing of theirs to encrypt
  #checkov:skip=CKV_AWS_353:no performance insights: a few requests a day
  #checkov:skip=CKV2_AWS_30:what was asked is in MLflow's own records
  #checkov:skip=CKV2_AWS_69:PostgreSQL 16 of RDS takes no connection without TLS
  #checkov:skip=CKV_AWS_293:protected unless `protect` is false, as for `destroy`
  identifier                      = "${local.name}-mlflow"
  engine                          = "postgres"
  engine_version                  = "16"
  instance_class                  = "db.t4g.micro"
  allocated_storage               = 20
  max_allocated_storage           = 100
  storage_encrypted               = true
  db_name                         = "mlflow"
  username                        = "promoter"
  password_wo                     = module.password["promoter"].value
  password_wo_version             = module.password["promoter"].version
  db_subnet_group_name            = aws_db_subnet_group.mlflow.name
  vpc_security_group_ids          = [aws_security_group.this["database"].id]
  publicly_accessible             = false
  backup_retention_period         = 14
  copy_tags_to_snapshot           = true
  auto_minor_version_upgrade      = true
  enabled_cloudwatch_logs_exports = ["postgresql"]
  deletion_protection             = var.protect
  skip_final_snapshot             = !var.protect
  final_snapshot_identifier       = "${local.name}-mlflow-last"
}

locals {
  mlflow_server = {
    image                  = "${aws_ecr_repository.images.repository_url}:${coalesce(var.mlflow_image, "none")}"
    readonlyRootFilesystem = true
    user                   = "10001"
    mountPoints            = [{ sourceVolume = "scratch", containerPath = "/tmp", readOnly = false }]
    logConfiguration       = local.logging
  }
  database = { for role in local.servers : role => "${role}@${aws_db_instance.mlflow.endpoint}/mlflow?sslmode=require" }
  mlflow_command = { for role in local.servers : role => [
    "/opt/venv/bin/mlflow", "server", "--host=0.0.0.0", "--port=${local.doors[role].port}", "--workers=1",
    "--backend-store-uri=postgresql+psycopg://${local.database[role]}",
    "--no-serve-artifacts", "--default-artifact-root=s3://${module.mlflow.name}",
    "--allowed-hosts=*", # who gets in is the door's decision
  ] }
  mlflow_environment = [
    { name = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", value = "false" },
    { name = "MLFLOW_DISABLE_TELEMETRY", value = "true" },
    { name = "HOME", value = "/tmp" },
  ]
  mlflow_health = { for role in local.servers : role => {
    command = ["CMD", "/opt/venv/bin/python", "-c",
    "import urllib.request as r; r.urlopen('http://127.0.0.1:${local.doors[role].port}/health', timeout=4)"]
    interval    = 10
    timeout     = 5
    retries     = 3
    startPeriod = 120
  } }
}

resource "aws_ecs_task_definition" "mlflow" {
  family                   = "${local.name}-mlflow"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 1024
  memory                   = 3072
  execution_role_arn       = aws_iam_role.execution.arn
  volume {
    name = "scratch"
  }
  container_definitions = jsonencode([
    # Makes them, or brings those of an older MLflow up to date.
    merge(local.mlflow_server, {
      name        = "tables"
      command     = ["/opt/venv/bin/mlflow", "db", "upgrade", "postgresql+psycopg://${local.database["promoter"]}"]
      environment = local.mlflow_environment
      secrets     = [{ name = "PGPASSWORD", valueFrom = module.password["promoter"].arn }]
      essential   = false
    }),
    merge(local.mlflow_server, {
      name         = "promoter"
      command      = local.mlflow_command["promoter"]
      environment  = local.mlflow_environment
      secrets      = [{ name = "PGPASSWORD", valueFrom = module.password["promoter"].arn }]
      portMappings = [{ containerPort = local.doors["promoter"].port }]
      healthCheck  = local.mlflow_health["promoter"]
      dependsOn    = [{ containerName = "tables", condition = "SUCCESS" }]
      essential    = true
    }),
    merge(local.mlflow_server, {
      name = "roles"
      command = ["/opt/venv/bin/python", "-c", <<-EOT
        import os, psycopg
        with psycopg.connect(os.environ["DATABASE"]) as database:
            database.execute("select set_config('roles.trainer', %s, false)", [os.environ["TRAINER"]])
            database.execute(os.environ["ROLES"])
        EOT
      ]
      environment = [
        { name = "DATABASE", value = "postgresql://${local.database["promoter"]}" },
        { name = "ROLES", value = file("${path.module}/roles.sql") },
      ]
      secrets = [
        { name = "PGPASSWORD", valueFrom = module.password["promoter"].arn },
        { name = "TRAINER", valueFrom = module.password["trainer"].arn },
      ]
      dependsOn = [{ containerName = "promoter", condition = "HEALTHY" }]
      essential = false
    }),
    merge(local.mlflow_server, {
      name         = "trainer"
      command      = local.mlflow_command["trainer"]
      environment  = local.mlflow_environment
      secrets      = [{ name = "PGPASSWORD", valueFrom = module.password["trainer"].arn }]
      portMappings = [{ containerPort = local.doors["trainer"].port }]
      healthCheck  = local.mlflow_health["trainer"]
      dependsOn    = [{ containerName = "roles", condition = "SUCCESS" }]
      essential    = true
    }),
  ])
}

resource "aws_ecs_service" "mlflow" {
  name            = "mlflow"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.mlflow.arn
  desired_count   = var.mlflow_image == null ? 0 : 1
  propagate_tags  = "SERVICE" # the budget counts by tag
  launch_type     = "FARGATE"
  # One at a time: two versions of MLflow do not share a database.
  deployment_maximum_percent         = 100
  deployment_minimum_healthy_percent = 0
  health_check_grace_period_seconds  = 300
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets         = values(aws_subnet.private)[*].id
    security_groups = [aws_security_group.this["tasks"].id]
  }
  dynamic "load_balancer" {
    for_each = local.servers
    content {
      target_group_arn = aws_lb_target_group.door[load_balancer.value].arn
      container_name   = load_balancer.value
      container_port   = local.doors[load_balancer.value].port
    }
  }
  depends_on = [aws_lb_listener.door]
}
