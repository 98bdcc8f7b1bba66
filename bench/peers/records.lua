-- wrk: every request stores one record.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"n":1,"text":"the quick brown fox jumps over the lazy dog"}'
