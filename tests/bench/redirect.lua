-- Taps on random links. Argument: a file of codes, 11 characters and a line feed each.
-- The file stays one string: a million requests made beforehand would not fit LuaJIT's memory.
local directory = debug.getinfo(1, "S").source:match("^@(.*)/")
dofile(directory .. "/summary.lua")

local agents = {
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; SM-S918U) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 16_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36",
}
local line_length = 12
local codes, count
local tails = {}

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    codes = file:read("*a")
    file:close()
    count = math.floor(#codes / line_length)
    for i, agent in ipairs(agents) do
        tails[i] = " HTTP/1.1\r\nHost: " .. wrk.host .. "\r\nUser-Agent: " .. agent .. "\r\n\r\n"
    end
    -- Each thread of wrk needs another sequence.
    math.randomseed(os.time() + tonumber(tostring(tails):match("0x(%x+)"), 16) % 1e6)
end

function request()
    local first = (math.random(count) - 1) * line_length + 1
    return "GET /" .. codes:sub(first, first + line_length - 2) .. tails[math.random(#tails)]
end
