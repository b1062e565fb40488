# In from outside: an HTTPS address of API Gateway for each door, and one load balancer inside, a port for each.
resource "aws_lb" "this" {
  #checkov:skip=CKV_AWS_91:the doors keep an access log
  #checkov:skip=CKV2_AWS_28:it is internal, and the doors bound what they let through
  #checkov:skip=CKV2_AWS_20:TLS ends at the doors; between them and this nothing leaves the private network
  name                       = local.name
  internal                   = true
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.this["balancer"].id]
  subnets                    = values(aws_subnet.private)[*].id
  drop_invalid_header_fields = true
  enable_deletion_protection = var.protect
}

resource "aws_lb_target_group" "door" {
  #checkov:skip=CKV_AWS_378:TLS ends at the doors
  for_each             = local.doors
  name                 = "${substr(local.name, 0, 21)}-${each.key}"
  vpc_id               = aws_vpc.this.id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = each.value.port
  deregistration_delay = 35 # as a server drains
  health_check {
    # With the golden rows of its own model, where it has one.
    path                = contains(local.environments, each.key) ? "/readyz" : "/health"
    healthy_threshold   = 2
    unhealthy_threshold = 3
    interval            = 10
  }
}

resource "aws_lb_listener" "door" {
  #checkov:skip=CKV_AWS_2:TLS ends at the doors
  #checkov:skip=CKV_AWS_103:TLS ends at the doors
  for_each          = local.doors
  load_balancer_arn = aws_lb.this.arn
  protocol          = "HTTP"
  port              = each.value.port
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.door[each.key].arn
  }
}

resource "aws_apigatewayv2_vpc_link" "this" {
  name               = local.name
  security_group_ids = [aws_security_group.this["doors"].id]
  subnet_ids         = values(aws_subnet.private)[*].id
}

resource "aws_apigatewayv2_api" "door" {
  for_each      = local.doors
  name          = "${local.name}-${each.key}"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "door" {
  for_each           = local.doors
  api_id             = aws_apigatewayv2_api.door[each.key].id
  integration_type   = "HTTP_PROXY"
  integration_method = "ANY"
  integration_uri    = aws_lb_listener.door[each.key].arn
  connection_type    = "VPC_LINK"
  connection_id      = aws_apigatewayv2_vpc_link.this.id
}

resource "aws_apigatewayv2_route" "door" {
  #checkov:skip=CKV_AWS_309:staging and production ask for SERVE_TOKEN themselves; MLflow's doors for AWS's signature
  for_each           = local.doors
  api_id             = aws_apigatewayv2_api.door[each.key].id
  route_key          = "$default"
  target             = "integrations/${aws_apigatewayv2_integration.door[each.key].id}"
  authorization_type = each.value.authorization
}

resource "aws_cloudwatch_log_group" "door" {
  #checkov:skip=CKV_AWS_158:encrypted with CloudWatch's own key, as the buckets are with theirs
  #checkov:skip=CKV_AWS_338:as long as the predictions that they belong to
  name              = "/${local.name}/doors"
  retention_in_days = 90
}

resource "aws_apigatewayv2_stage" "door" {
  for_each    = local.doors
  api_id      = aws_apigatewayv2_api.door[each.key].id
  name        = "$default"
  auto_deploy = true
  default_route_settings {
    throttling_burst_limit = 500
    throttling_rate_limit  = 1000
  }
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.door.arn
    format = jsonencode({
      door    = each.key
      time    = "$context.requestTime"
      id      = "$context.requestId"
      from    = "$context.identity.sourceIp"
      caller  = "$context.identity.caller"
      request = "$context.httpMethod $context.path"
      status  = "$context.status"
      took_ms = "$context.responseLatency"
    })
  }
}
