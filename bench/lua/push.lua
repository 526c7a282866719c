-- Pushes blobs to an OCI registry in two requests each: POST, then PUT to the Location it gave.
--
-- It takes the arguments of replay.lua and reads the same kind of file, in which the first request
-- is the POST, and each other one is a PUT that has LOCATION in place of its path. A Location may be
-- used by any connection: wrk does not tell which one an answer came on.

dofile(debug.getinfo(1, "S").source:match("^@(.*)push.lua$") .. "replay.lua")

local prepared = request
local counted = count
local locations = {}
local first = 1
local CONNECTIONS_MAX = 100
local post

function count(status, headers)
   counted(status)
   if status == 202 then
      locations[#locations + 1] = headers["Location"]:gsub("^https?://[^/]+", "")
   end
end

-- Each connection that was allowed to go on may want a PUT.
function spent()
   return sent + CONNECTIONS_MAX >= total
end

function request()
   if not post then
      post = prepared()
      prepared() -- The POST again, as the first in the order.
      return post
   end
   local location = locations[first]
   if not location then
      return post
   end
   first = first + 1
   return (prepared():gsub("LOCATION", function() return location end, 1))
end
