Traffic that left the origin stays on its CDN for the agreed time, as long as that CDN is usable and not at-or-above itself.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one

at 0s     agree on shop from 5min
            response_time under 100ms, p50 over 6s, 1 sample of 1 probe
            dwell 10s
          shop in carrier-a: origin, unknown (no agreement)
at 300s   agent-1 measures origin 100ms, edge-one 50ms
          shop in carrier-a: cdn edge-one, at-or-above, 100ms
at 301s   agent-1 measures origin 50ms x9
          shop in carrier-a: cdn edge-one, below (dwell), 50ms
at 306s   agent-1 measures origin 50ms x9, edge-one 50ms
at 310s   shop in carrier-a: origin, below, 50ms
at 311s   agent-1 measures origin 100ms x99
          shop in carrier-a: cdn edge-one, at-or-above, 100ms
at 312s   agent-1 measures origin 50ms x999
          shop in carrier-a: cdn edge-one, below (dwell), 50ms
at 313s   edge-one reports unhealthy
          shop in carrier-a: origin, below, 50ms
at 318s   shop in carrier-a: origin, unknown (unknown hold)
