The next version of an agreement takes over from the one before it, and an equal objective keeps its window.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (operated)
site shop: origin, then edge-one, then edge-two

at 0s     shop in carrier-a: origin, unknown (no agreement)
at 1s     agree on shop from 5min
            response_time under 300ms, p50 over 1h, 1 sample of 1 probe
            until 1h
at 300s   shop in carrier-a: origin, unknown (cold start)
at 301s   agent-1 measures origin 400ms
          shop in carrier-a: cdn edge-one, at-or-above, 400ms
# Only the order of the CDNs changes.
at 310s   agree on shop from 10min
            response_time under 300ms, p50 over 1h, 1 sample of 1 probe
            cdns edge-two, edge-one
at 600s   shop in carrier-a: cdn edge-two, at-or-above, 400ms
at 610s   terminate shop at 15min
at 900s   shop in carrier-a: origin, unknown (no agreement)
