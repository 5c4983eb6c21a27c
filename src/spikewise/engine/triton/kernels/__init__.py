"""The kernels: what runs on the device, and the functions that launch it. Importing this needs Triton."""
