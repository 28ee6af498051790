-- For wrk: posts the bodies of a file in turn. The file: path, header lines, an empty line, one body a line.
local requests, at, threads = {}, 0, {}

function setup(thread) table.insert(threads, thread) end

function init(args)
  local path, headers, in_bodies, bodies = nil, {}, false, {}
  for line in io.lines(args[1]) do
    if path == nil then path = line
    elseif in_bodies then bodies[#bodies + 1] = line
    elseif line == "" then in_bodies = true
    else
      local name, value = line:match("^([^:]+): (.*)$")
      headers[name] = value
    end
  end
  for number, body in ipairs(bodies) do requests[number] = wrk.format("POST", path, headers, body) end
  failed = 0
  if args[2] == "check" then -- a refused write is answered with 200: look into it, since the answer is small
    response = function(status, _, body)
      if status ~= 200 or body:find('"errors"', 1, true) or body:find('"code"', 1, true) then failed = failed + 1 end
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local failures = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout
  for _, thread in ipairs(threads) do failures = failures + (thread:get("failed") or 0) end
  io.write(string.format('{"requests": %d, "seconds": %.6f, "failures": %d, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    summary.requests, summary.duration / 1e6, failures, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
