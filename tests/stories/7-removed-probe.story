A probe that is removed ceases to vote at once, and what it measures later is not counted.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
probe agent-2 in carrier-a
probe agent-3 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 2 probes

at 0s   agent-1 measures origin 100ms x3
        agent-2 measures origin 200ms x3
        agent-3 measures origin 300ms x3
        shop in carrier-a: cdn edge-one, at-or-above, 200ms, 9 samples of 3 probes
at 5s   delete probe agent-2 in carrier-a
        shop in carrier-a: origin, below, 100ms, 6 samples of 2 probes
at 6s   agent-2 measures origin 400ms x3
        shop in carrier-a: unchanged
