Only CDNs that are agreed are used: those of the network, else of its nearest ancestor that has a list, else all.

network europe
network carrier-a in europe, 192.0.2.0/24
network carrier-b, 198.51.100.0/24
probe agent-1 in carrier-a
probe agent-2 in carrier-b
cdn edge-one (operated)
cdn edge-two (operated)
cdn edge-three (operated)
site shop: origin, then edge-one, then edge-two, then edge-three

at 0s     shop in carrier-a: origin, unknown (no agreement)
          shop in carrier-b: origin, unknown (no agreement)
          shop in europe: origin, unknown (no agreement)
at 1s     agree on shop from 5min
            response_time under 300ms, p50 over 1h, 1 sample of 1 probe
            cdns edge-three, edge-two
            cdns edge-two in europe
at 300s   shop in carrier-a: origin, unknown (cold start)
          shop in carrier-b: origin, unknown (cold start)
          shop in europe: origin, unknown (cold start)
at 301s   agent-1 measures origin 400ms
          agent-2 measures origin 400ms, edge-one 10ms
          shop in carrier-a: cdn edge-two, at-or-above, 400ms
          shop in carrier-b: cdn edge-three, at-or-above, 400ms, not edge-two (unknown)
          shop in europe: cdn edge-two, at-or-above, 400ms
# None of them is usable there, and the origin answers.
at 302s   edge-two reports unhealthy
          shop in carrier-a: origin, at-or-above (no usable cdn), 400ms
          shop in europe: origin, at-or-above (no usable cdn), 400ms
