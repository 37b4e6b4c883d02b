Where fewer probes are provisioned than agreed, all of them are enough.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 3 probes

at 0s   agent-1 measures origin 100ms x3
        shop in carrier-a: origin, below, 100ms, 3 samples of 1 probe
