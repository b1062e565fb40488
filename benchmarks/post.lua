-- For wrk: POST the file that is named after `--`, again and again, and print what came of it as one line of JSON.
-- A second argument is how long each connection waits between its requests, in ms.
local pause = 0

function init(arguments)
  local file = assert(io.open(arguments[1]))
  wrk.body = file:read("*a")
  file:close()
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  pause = tonumber(arguments[2] or 0)
end

function delay()
  return pause
end

function done(summary, latency, requests)
  local e = summary.errors
  print(string.format('{"rate": %.1f, "p50": %.3f, "p99": %.3f, "requests": %d, "errors": %d}',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.requests, e.connect + e.read + e.write + e.status + e.timeout))
end
