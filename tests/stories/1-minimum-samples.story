A probe has no value before it has the agreed number of measurements, of which failed ones count.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 400ms x2
        shop in carrier-a: origin, unknown (cold start)
at 1s   agent-1 measures origin failed
        shop in carrier-a: cdn edge-one, at-or-above, failed, 3 samples of 1 probe
