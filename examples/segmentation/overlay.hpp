#pragma once

#include <string>
#include <vector>

#include "examples/segmentation/png.hpp"
#include "examples/segmentation/volume.hpp"

namespace segment {

/// The colour of class 1, 2, ...; repeats after eight.
Rgb class_color(std::int64_t cls);

struct Overlay {
  std::string view;        ///< sagittal | coronal | axial
  std::int64_t slice = 0;  ///< index along the axis that the view looks along
  Picture picture;         ///< the truth on the left, the prediction on the right
};

/// Three views through the slices that show the most classes, upright: superior up (anterior up in the axial
/// view), the patient's right on the right (anterior on the left in the sagittal view). Which voxel axis is
/// which comes from the affine. All three volumes must have one size.
std::vector<Overlay> make_overlays(const Volume<float>& image, const Volume<std::uint8_t>& truth,
                                   const Volume<std::uint8_t>& prediction);

/// All views in one picture, with the names of the classes in their colours below.
Picture make_plate(const std::vector<Overlay>& overlays, const std::vector<std::string>& class_names);

}  // namespace segment
