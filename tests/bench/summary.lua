-- One line of JSON at the end of a run of wrk, for harness.py. Latencies are in microseconds inside wrk.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"answers": %d, "rate": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "bad_answers": %d, "broken": %d}\n',
        summary.requests, summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3,
        latency:percentile(99) / 1e3, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
