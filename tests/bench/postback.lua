-- Signed postbacks, each sent once. Arguments: a file of query strings, one a line; the number of threads.
-- Thread i takes line i, i + threads, i + 2 * threads and so on, and stops when there are no more.
local directory = debug.getinfo(1, "S").source:match("^@(.*)/")
dofile(directory .. "/summary.lua")

local started = 0
local queries, tail
local at = 0

function setup(thread)
    thread:set("number", started)
    started = started + 1
end

function init(arguments)
    local threads = tonumber(arguments[2])
    queries = {}
    local line_number = 0
    for line in io.lines(arguments[1]) do
        if line_number % threads == number then queries[#queries + 1] = line end
        line_number = line_number + 1
    end
    tail = " HTTP/1.1\r\nHost: " .. wrk.host .. "\r\nUser-Agent: bench\r\n\r\n"
end

function request()
    at = at + 1
    -- The last one again, harmless to the network, while the thread comes to its end.
    if at > #queries then
        wrk.thread:stop()
        at = #queries
    end
    return "GET /postback/bench?" .. queries[at] .. tail
end
