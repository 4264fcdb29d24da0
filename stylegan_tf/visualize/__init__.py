"""Pictures of generated images: bytes, grids and files; the paper's figures and animations in the other modules."""

from stylegan_tf.data.letterbox import crop_to_box
from stylegan_tf.visualize.picture_files import image_grid, save_image, save_image_grid, to_uint8

__all__ = ["crop_to_box", "image_grid", "save_image", "save_image_grid", "to_uint8"]
