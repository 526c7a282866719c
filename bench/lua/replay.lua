-- Sends requests that were prepared in a file, in their order; it makes none itself.
--
-- Arguments: the file; how: "cycle" starts again at the end, "once" sends each one time only, counts
-- the answers by status, and at the end waits for all of them, so that what happened is known; then
-- with "once" for how many seconds, with "cycle" how many milliseconds to wait before each request.
-- The file: of each request its length in decimal, a line feed, its bytes.

local ffi = require("ffi")
ffi.cdef("typedef struct {long s; long ns;} bench_time; int clock_gettime(int, bench_time *);")

-- What `done` may read of a thread are its global variables.
total = 0
sent = 0
seconds = 0

local MONOTONIC, NEVER_MS = 1, 1e9
local requests = {}
local verified = false
local granted, answered = 0, 0
local lasts, began
local started

function setup(thread)
   started = thread
end

local clock = ffi.new("bench_time")
local function now()
   ffi.C.clock_gettime(MONOTONIC, clock)
   return tonumber(clock.s) + tonumber(clock.ns) / 1e9
end

local drained = false
local function drain()
   if drained then return end -- Several connections may ask before the loop has stopped.
   drained = true
   io.stderr:write("drained\n")
   io.stderr:flush()
   wrk.thread:stop()
end

-- wrk asks this before each request: the time to say no.
local function grant()
   local at = now()
   began = began or at
   seconds = at - began
   if seconds < lasts and not spent() then
      granted = granted + 1
      return 0
   end
   if answered == granted then
      drain()
   end
   return NEVER_MS
end

function spent()
   return granted == total
end

local names = {}
for status = 100, 599 do
   names[status] = "status_" .. status
end

function count(status)
   local name = names[status]
   _G[name] = (_G[name] or 0) + 1
   answered = answered + 1
end

function init(args)
   local file = assert(io.open(args[1], "rb"))
   for line in function() return file:read("*l") end do
      requests[#requests + 1] = file:read(tonumber(line))
   end
   file:close()
   total = #requests
   local number = tonumber(args[3])
   if args[2] == "once" then
      lasts = number
      response = count
      delay = grant
   elseif number > 0 then
      delay = function() return number end
   end
   io.stderr:write("loaded\n")
   io.stderr:flush()
end

function request()
   if not verified then -- wrk asks for one, looks at it, and does not send it.
      verified = true
      return requests[1]
   end
   sent = sent + 1
   return requests[(sent - 1) % #requests + 1]
end

function done(summary, latency)
   local parts = {}
   for status = 100, 599 do
      local number = started:get("status_" .. status)
      if number then
         parts[#parts + 1] = string.format('"%d": %d', status, number)
      end
   end
   local errors = summary.errors
   local measured = started:get("seconds")
   io.stderr:write(string.format(
      '{"requests": %d, "bytes": %d, "seconds": %.6f, "sent": %d, '
         .. '"bad_status": %d, "socket_errors": %d, "statuses": {%s}, '
         .. '"p50_ms": %.4f, "p95_ms": %.4f, "p99_ms": %.4f}\n',
      summary.requests, summary.bytes, measured > 0 and measured or summary.duration / 1e6,
      started:get("sent"), errors.status,
      errors.connect + errors.read + errors.write + errors.timeout, table.concat(parts, ", "),
      latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000))
end
