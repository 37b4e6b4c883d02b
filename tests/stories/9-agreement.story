An agreement is in force from the first tick at or after its beginning, and nothing else is until its end.
Until then the objectives of the site's document count. A changed objective starts with an empty window, and the route is held
meanwhile. After the end nothing is agreed, and the origin answers.

network carrier-a, 192.0.2.0/24
probe agent-1 in carrier-a
cdn edge-one (operated)
site shop: origin, then edge-one
  response_time under 150ms, p50 over 1h, 1 sample of 1 probe

at 0s     agent-1 measures origin 200ms
          shop in carrier-a: cdn edge-one, at-or-above, 200ms
at 10s    agree on shop from 5min
            response_time under 300ms, p50 over 1h, 1 sample of 1 probe
            until 15min
at 299s agent-1 measures origin 200ms
# The measurements of this tick count in the new window already.
at 300s   agent-1 measures origin 200ms x2
          shop in carrier-a: origin, below, 200ms, 2 samples of 1 probe
# The document no longer says what is agreed.
at 301s   site shop: origin, then edge-one
            response_time under 100ms, p50 over 1h, 1 sample of 1 probe
          refused: are agreed in of-shop: propose a version with others
at 302s   agent-1 measures origin 400ms x9
          shop in carrier-a: cdn edge-one, at-or-above, 400ms
at 900s   shop in carrier-a: origin, unknown (no agreement)
