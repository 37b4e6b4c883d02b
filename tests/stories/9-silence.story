When the evidence is gone the last route is held for the agreed time, then the agreed choice is made.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (operated)
site shop: origin, then edge-one
site blog: origin, then edge-one, then edge-two

at 0s     agree on shop from 5min
            response_time under 100ms, p50 over 6s, 1 sample of 1 probe
            silent for 10s: origin
          agree on blog from 5min
            response_time under 100ms, p50 over 6s, 1 sample of 1 probe
            silent for 10s: cdn
          shop in carrier-a: origin, unknown (no agreement)
          blog in carrier-a: origin, unknown (no agreement)
at 300s   agent-1 measures shop: origin 100ms
          agent-1 measures blog: origin 50ms
          shop in carrier-a: cdn edge-one, at-or-above, 100ms
          blog in carrier-a: origin, below, 50ms
at 306s   shop in carrier-a: cdn edge-one, unknown (unknown hold)
          blog in carrier-a: origin, unknown (unknown hold)
at 316s   shop in carrier-a: origin, unknown (unknown hold)
          blog in carrier-a: cdn edge-one, unknown (unknown hold)
at 317s   edge-one reports unhealthy
          blog in carrier-a: cdn edge-two, unknown (unknown hold)
at 318s   agent-1 measures blog: origin 50ms
          blog in carrier-a: origin, below, 50ms
at 324s   blog in carrier-a: origin, unknown (unknown hold)
at 334s   blog in carrier-a: cdn edge-two, unknown (unknown hold)
