"""What everything on a Rockchip board's one NPU needs: reading its libraries before they are loaded."""
