# The server, in staging and in production. Which image runs is deploy.py's to say; this says how.
locals {
  logging = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.tasks.name
      awslogs-region        = var.region
      awslogs-stream-prefix = "task"
    }
  }
  # Beside each server, of which only the folder of its log is shared: what it logged goes to the bucket each minute,
  # and once more when the server has ended. A folder a task, so that nobody lists or deletes what is another's: by the
  # task's own id, since names of hosts are addresses, which come again. The volume is root's, and the server's user is not.
  ship = <<-EOT
    chown 10001 /app/predictions
    ship() { aws s3 sync --only-show-errors --delete --exclude '*/.*' /app/predictions "$BUCKET/$${ECS_CONTAINER_METADATA_URI_V4##*/}"; }
    trap 'ship; exit $?' TERM
    while :; do sleep 60 & wait $!; ship; done
    EOT
}

resource "aws_cloudwatch_log_group" "tasks" {
  #checkov:skip=CKV_AWS_158:encrypted with CloudWatch's own key, as the buckets are with theirs
  #checkov:skip=CKV_AWS_338:as long as the predictions that they belong to
  name              = "/${local.name}/tasks"
  retention_in_days = 90
}

resource "aws_ecs_cluster" "this" {
  name = local.name
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_task_definition" "server" {
  for_each                 = local.environments
  family                   = "${local.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 1024
  memory                   = 2048
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.server[each.key].arn
  volume {
    name = "predictions"
  }
  volume {
    name = "scratch"
  }
  container_definitions = jsonencode([
    {
      name                   = "server"
      image                  = "${aws_ecr_repository.images.repository_url}:none" # until deploy.py says which
      command                = ["serve", "--host", "0.0.0.0", "--bundle", "bundle"]
      environment            = [{ name = "PORT", value = tostring(local.doors[each.key].port) }]
      portMappings           = [{ containerPort = local.doors[each.key].port }]
      readonlyRootFilesystem = true
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      secrets = [
        { name = "SERVE_TOKEN", valueFrom = module.password["token"].arn },
        { name = "LOG_KEY", valueFrom = module.password["log-key"].arn },
      ]
      mountPoints = [
        { sourceVolume = "predictions", containerPath = "/app/predictions", readOnly = false },
        { sourceVolume = "scratch", containerPath = "/tmp", readOnly = false },
      ]
      dependsOn        = [{ containerName = "log", condition = "START" }]
      stopTimeout      = 40
      essential        = true
      logConfiguration = local.logging
    },
    {
      name                   = "log"
      image                  = "public.ecr.aws/aws-cli/aws-cli:2.31.0"
      entryPoint             = ["sh", "-c", local.ship]
      environment            = [{ name = "BUCKET", value = "s3://${module.predictions.name}/${each.key}" }]
      readonlyRootFilesystem = true
      mountPoints = [
        { sourceVolume = "predictions", containerPath = "/app/predictions", readOnly = false },
      ]
      stopTimeout      = 60
      essential        = true
      logConfiguration = local.logging
    },
  ])
}

resource "aws_ecs_service" "server" {
  for_each                          = local.environments
  name                              = each.key
  cluster                           = aws_ecs_cluster.this.id
  task_definition                   = aws_ecs_task_definition.server[each.key].arn
  desired_count                     = 0
  launch_type                       = "FARGATE"
  propagate_tags                    = "SERVICE" # the budget counts by tag
  health_check_grace_period_seconds = 60
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    subnets         = values(aws_subnet.private)[*].id
    security_groups = [aws_security_group.this["tasks"].id]
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.door[each.key].arn
    container_name   = "server"
    container_port   = local.doors[each.key].port
  }
  lifecycle {
    ignore_changes = [task_definition, desired_count]
  }
  depends_on = [aws_lb_listener.door]
}

# What was accepted last, for deploy.py to go back to; each value it ever had stays in the parameter's history.
resource "aws_ssm_parameter" "image" {
  #checkov:skip=CKV2_AWS_34:the name of an image is no secret
  for_each = local.environments
  name     = "/${local.name}/${each.key}/image"
  type     = "String"
  value    = "none"
  lifecycle {
    ignore_changes = [value]
  }
}

resource "aws_appautoscaling_target" "production" {
  service_namespace  = "ecs"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.server["production"].name}"
  scalable_dimension = "ecs:service:DesiredCount"
  min_capacity       = 1
  max_capacity       = var.most_servers
}

resource "aws_appautoscaling_policy" "production" {
  name               = "half of the processors"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.production.service_namespace
  resource_id        = aws_appautoscaling_target.production.resource_id
  scalable_dimension = aws_appautoscaling_target.production.scalable_dimension
  target_tracking_scaling_policy_configuration {
    target_value       = 50
    scale_in_cooldown  = 300
    scale_out_cooldown = 60
    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}
