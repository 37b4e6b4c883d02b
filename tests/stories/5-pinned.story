A pinned site goes to its target in every network, whatever the verdict, until the pin ends.

also live
network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
cdn edge-two (partner)
site shop: origin, then edge-one, then edge-two
  response_time under 150ms, p50 over 60s, 1 sample of 1 probe

at 0s   agent-1 measures origin 100ms
        shop in carrier-a: origin, below, 100ms
at 2s   pin shop to edge-two until 6s
        shop in carrier-a: cdn edge-two, below (pinned), 100ms
# Neither statistics nor the verdict move it; the verdict is told all the same.
at 3s   edge-two reports unhealthy
        agent-1 measures origin 400ms x3
        shop in carrier-a: cdn edge-two, at-or-above (pinned), 400ms
at 6s   shop in carrier-a: cdn edge-one, at-or-above, 400ms, not edge-two (not usable)
at 7s   pin shop to origin until 8s
        shop in carrier-a: origin, at-or-above (pinned), 400ms
at 8s   shop in carrier-a: cdn edge-one, at-or-above, 400ms, not edge-two (not usable)
at 9s   pin shop to edge-two until 1h
        shop in carrier-a: cdn edge-two, at-or-above (pinned), 400ms
        ask www.shop.example A from 192.0.2.7
        CNAME edge-two.example.
