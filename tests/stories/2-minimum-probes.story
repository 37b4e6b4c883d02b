A network has no evidence before the agreed number of its probes have a value.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
probe agent-2 in carrier-a
probe agent-3 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 2 probes

at 0s   agent-1 measures origin 200ms x3
        agent-2 measures origin 200ms x2
        shop in carrier-a: origin, unknown (cold start)
at 1s   agent-2 measures origin 200ms
        shop in carrier-a: cdn edge-one, at-or-above, 200ms, 6 samples of 2 probes
