The value of a network is at-or-above when more than half of its probes are.
It is the value of rank ⌈n/2⌉ from the best among the probes that have one.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
probe agent-2 in carrier-a
probe agent-3 in carrier-a
probe agent-4 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 3 probes

at 0s   agent-1 measures origin 100ms x3
        agent-2 measures origin 110ms x3
        agent-3 measures origin 200ms x3
        agent-4 measures origin 300ms x3
        shop in carrier-a: origin, below, 110ms, 12 samples of 4 probes
at 1s   agent-2 measures origin 190ms
        shop in carrier-a: cdn edge-one, at-or-above, 190ms, 13 samples of 4 probes
