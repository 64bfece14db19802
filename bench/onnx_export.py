"""onnx_export.py FOLDER SIDE: writes the U-Nets of bench/torch_unet.py in eval mode as FOLDER/batch.onnx and FOLDER/instance.onnx by PyTorch's own
exporter (which folds batch norm into convolutions), and their input of SIDE^3 voxels as FOLDER/image.f32."""

import pathlib
import sys
import warnings

import torch

from torch_conv import pattern
from torch_unet import UNet3d, fill

folder, side = pathlib.Path(sys.argv[1]), int(sys.argv[2])
warnings.filterwarnings("ignore")
image = pattern((1, 1, side, side, side))
image.numpy().tofile(folder / "image.f32")
for norm in ("batch", "instance"):
    net = UNet3d(norm)
    fill(net, norm)
    torch.onnx.export(net.eval(), image, str(folder / f"{norm}.onnx"), opset_version=13, input_names=["x"], output_names=["y"])
