"""What everything on a Rockchip board's one NPU needs: its libraries read before they are loaded, and its lock."""
