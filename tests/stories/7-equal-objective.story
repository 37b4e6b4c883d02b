An objective that stays equal keeps its window when others are added.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p95 over 20s, 3 samples of 1 probe

at 0s   agent-1 measures origin 100ms x3
        shop in carrier-a: origin, below, 100ms
at 5s   site shop: origin, then edge-one
          available_bandwidth above 20Mbit/s, p75 over 20s, 3 samples of 1 probe
          response_time under 150ms, p95 over 20s, 3 samples of 1 probe
        shop in carrier-a: origin, unknown (unknown hold), no value and 100ms
at 6s   agent-1 measures origin 50Mbit/s x3
        shop in carrier-a: origin, below, 50Mbit/s and 100ms
