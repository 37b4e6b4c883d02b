Within the agreed return band traffic stays on its CDN, as long as that CDN is usable and not at-or-above itself.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one

at 0s     agree on shop from 5min
            response_time under 100ms, p50 over 1s, 1 sample of 1 probe
            return band 100 permille
          refused: a window of 1s with a sample every 1s holds 1 samples of a probe; the 50 % of them beyond percentile 50 are 0.50, fewer than 3: site shop is probed every 1s
          shop in carrier-a: origin, unknown (no agreement)
at 1s     agree on shop from 5min
            response_time under 100ms, p50 over 6s, 1 sample of 1 probe
            return band 100 permille
at 300s   agent-1 measures origin 100ms, edge-one 50ms
          shop in carrier-a: cdn edge-one, at-or-above, 100ms
# 901 permille is within the band, 900 is not.
at 301s   agent-1 measures origin 90.1ms x9
          shop in carrier-a: cdn edge-one, below (return band), 90.1ms
at 302s   agent-1 measures origin 90ms x90
          shop in carrier-a: origin, below, 90ms
at 303s   agent-1 measures origin 100ms x900, edge-one 50ms
          shop in carrier-a: cdn edge-one, at-or-above, 100ms
at 304s   agent-1 measures origin 95ms x4000
          shop in carrier-a: cdn edge-one, below (return band), 95ms
at 305s   agent-1 measures edge-one 100ms x9
          shop in carrier-a: origin, below, 95ms
