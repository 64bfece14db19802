#include "examples/segmentation/overlay.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "examples/segmentation/error.hpp"
#include "examples/segmentation/font.hpp"

namespace segment {
namespace {

constexpr std::int64_t longest_side = 440;  // of a panel, in pixels
constexpr std::int64_t gap = 8, title_height = 30, margin = 16, text_zoom = 2;
constexpr double fill_opacity = 0.42, edge_opacity = 0.95;
constexpr Rgb paper{16, 18, 22}, ink{222, 226, 232}, faint{130, 138, 150};

/// How a picture axis runs through the voxels.
struct Direction {
  int axis;       ///< voxel axis
  bool reversed;  ///< the picture starts at the last voxel
};

struct View {
  const char* name;
  int through;  ///< voxel axis looked along
  Direction across, down;
};

/// The voxel axis that runs most nearly along each of right, anterior, superior, and whether it runs against
/// it.
std::array<Direction, 3> anatomical_axes(const Affine& affine) {
  const auto norm = [&](int axis) {
    return std::sqrt(affine[0][axis] * affine[0][axis] + affine[1][axis] * affine[1][axis] +
                     affine[2][axis] * affine[2][axis]);
  };
  std::array<int, 3> order{0, 1, 2}, best = order;
  double best_score = -1;
  do {
    double score = 0;
    for (int row = 0; row < 3; ++row)
      score += std::abs(affine[row][order[row]]) / std::max(norm(order[row]), 1e-30);
    if (score > best_score) best_score = score, best = order;
  } while (std::next_permutation(order.begin(), order.end()));
  return {Direction{best[0], affine[0][best[0]] < 0}, Direction{best[1], affine[1][best[1]] < 0},
          Direction{best[2], affine[2][best[2]] < 0}};
}

Direction against(Direction direction) { return {direction.axis, !direction.reversed}; }

std::array<View, 3> views(const Affine& affine) {
  const auto [right, anterior, superior] = anatomical_axes(affine);
  return {View{"sagittal", right.axis, against(anterior), against(superior)},
          View{"coronal", anterior.axis, right, against(superior)},
          View{"axial", superior.axis, right, against(anterior)}};
}

double spacing(const Affine& affine, int axis) {
  return std::sqrt(affine[0][axis] * affine[0][axis] + affine[1][axis] * affine[1][axis] +
                   affine[2][axis] * affine[2][axis]);
}

/// The slice with the most classes; among those the one whose classes' voxel counts have the largest sum of
/// logarithms, so that small classes count as much as large ones.
std::int64_t richest_slice(const Volume<std::uint8_t>& truth, int axis) {
  std::vector<std::array<std::int64_t, 256>> counts(static_cast<std::size_t>(truth.size[axis]));
  Size3 at{};
  for (at[0] = 0; at[0] < truth.size[0]; ++at[0]) {
    for (at[1] = 0; at[1] < truth.size[1]; ++at[1]) {
      for (at[2] = 0; at[2] < truth.size[2]; ++at[2]) {
        ++counts[static_cast<std::size_t>(at[axis])][truth.at(at[0], at[1], at[2])];
      }
    }
  }
  std::int64_t best = truth.size[axis] / 2;
  std::pair<int, double> best_score{0, 0.0};
  for (std::size_t slice = 0; slice < counts.size(); ++slice) {
    std::pair<int, double> score{0, 0.0};
    for (std::size_t cls = 1; cls < 256; ++cls) {
      score.first += counts[slice][cls] > 0;
      score.second += std::log1p(static_cast<double>(counts[slice][cls]));
    }
    if (score > best_score) best_score = score, best = static_cast<std::int64_t>(slice);
  }
  return best;
}

/// The grey window: black at the 1st, white at the 99.7th percentile.
std::array<float, 2> grey_window(const Volume<float>& image) {
  std::vector<float> sorted = image.voxels;
  const auto percentile = [&](double share) {
    const auto nth =
        sorted.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(sorted.size() - 1));
    std::nth_element(sorted.begin(), nth, sorted.end());
    return *nth;
  };
  const float low = percentile(0.01), high = percentile(0.997);
  return {low, std::max(high, low + 1e-6f)};
}

/// The voxels under a view's pixels.
class Sampler {
 public:
  Sampler(const View& view, std::int64_t slice, const Size3& size, const Affine& affine)
      : view_(view), slice_(slice), size_(size) {
    const double across = spacing(affine, view.across.axis), down = spacing(affine, view.down.axis);
    const double extent_across = across * static_cast<double>(size[view.across.axis]);
    const double extent_down = down * static_cast<double>(size[view.down.axis]);
    // Whole pixels per voxel, so that voxels show as equal squares, unless there are more voxels than pixels.
    const double finest = std::min(across, down),
                 room = longest_side * finest / std::max(extent_across, extent_down);
    const double zoom = (room >= 1 ? std::floor(room) : room) / finest;
    width = std::max<std::int64_t>(1, std::llround(extent_across * zoom));
    height = std::max<std::int64_t>(1, std::llround(extent_down * zoom));
  }

  Size3 voxel(std::int64_t column, std::int64_t row) const {
    Size3 at{};
    at[view_.through] = slice_;
    at[view_.across.axis] = along(view_.across, column, width);
    at[view_.down.axis] = along(view_.down, row, height);
    return at;
  }

  std::int64_t width, height;

 private:
  std::int64_t along(Direction direction, std::int64_t pixel, std::int64_t pixels) const {
    const std::int64_t count = size_[direction.axis];
    const std::int64_t voxel = std::min(pixel * count / pixels, count - 1);
    return direction.reversed ? count - 1 - voxel : voxel;
  }

  View view_;
  std::int64_t slice_;
  Size3 size_;
};

Rgb blend(Rgb under, Rgb over, double opacity) {
  const auto mix = [&](std::uint8_t a, std::uint8_t b) {
    return static_cast<std::uint8_t>(std::lround(a * (1 - opacity) + b * opacity));
  };
  return {mix(under.r, over.r), mix(under.g, over.g), mix(under.b, over.b)};
}

Picture draw_panel(const Sampler& sampler, const Volume<float>& image, const Volume<std::uint8_t>& classes,
                   const std::array<float, 2>& window) {
  Picture panel(sampler.width, sampler.height);
  const auto class_at = [&](std::int64_t column, std::int64_t row) {
    const Size3 at = sampler.voxel(std::clamp<std::int64_t>(column, 0, panel.width - 1),
                                   std::clamp<std::int64_t>(row, 0, panel.height - 1));
    return classes.at(at[0], at[1], at[2]);
  };
  for (std::int64_t row = 0; row < panel.height; ++row) {
    for (std::int64_t column = 0; column < panel.width; ++column) {
      const Size3 at = sampler.voxel(column, row);
      const float share = (image.at(at[0], at[1], at[2]) - window[0]) / (window[1] - window[0]);
      const auto grey = static_cast<std::uint8_t>(std::lround(255 * std::clamp(share, 0.0f, 1.0f)));
      const std::uint8_t cls = class_at(column, row);
      panel.at(column, row) = {grey, grey, grey};
      if (cls == 0) continue;
      const bool edge = class_at(column - 1, row) != cls || class_at(column + 1, row) != cls ||
                        class_at(column, row - 1) != cls || class_at(column, row + 1) != cls;
      panel.at(column, row) = blend({grey, grey, grey}, class_color(cls), edge ? edge_opacity : fill_opacity);
    }
  }
  return panel;
}

}  // namespace

Rgb class_color(std::int64_t cls) {
  // Okabe and Ito's palette, which the colour-blind can tell apart, in an order that suits grey ground.
  static constexpr Rgb palette[] = {{230, 159, 0}, {86, 180, 233},  {0, 190, 130}, {240, 228, 66},
                                    {213, 94, 0},  {204, 121, 167}, {0, 114, 178}, {200, 200, 200}};
  return palette[static_cast<std::size_t>(std::max<std::int64_t>(cls, 1) - 1) % std::size(palette)];
}

std::vector<Overlay> make_overlays(const Volume<float>& image, const Volume<std::uint8_t>& truth,
                                   const Volume<std::uint8_t>& prediction) {
  if (image.size != truth.size || image.size != prediction.size || image.voxels.empty()) {
    fail("overlay: image ", to_string(image.size), ", truth ", to_string(truth.size), " and prediction ",
         to_string(prediction.size), " must have one size above 0");
  }
  const std::array<float, 2> window = grey_window(image);
  std::vector<Overlay> overlays;
  for (const View& view : views(image.affine)) {
    const std::int64_t slice = richest_slice(truth, view.through);
    const Sampler sampler(view, slice, image.size, image.affine);
    Picture picture(2 * sampler.width + gap, sampler.height + title_height, paper);
    draw_text(picture, 2, 6, "truth", ink, text_zoom);
    draw_text(picture, sampler.width + gap + 2, 6, "prediction", ink, text_zoom);
    paste(picture, draw_panel(sampler, image, truth, window), 0, title_height);
    paste(picture, draw_panel(sampler, image, prediction, window), sampler.width + gap, title_height);
    overlays.push_back({view.name, slice, std::move(picture)});
  }
  return overlays;
}

Picture make_plate(const std::vector<Overlay>& overlays, const std::vector<std::string>& class_names) {
  std::int64_t width = 2 * margin, height = 0, legend = 2 * margin;
  for (const Overlay& overlay : overlays) {
    width += overlay.picture.width + (width > 2 * margin ? 3 * margin : 0);
    height = std::max(height, overlay.picture.height);
  }
  constexpr std::int64_t swatch = 16, letter = glyph_width * text_zoom;
  for (std::size_t i = 1; i < class_names.size(); ++i) {
    legend += swatch + 8 + letter * static_cast<std::int64_t>(class_names[i].size()) + 2 * margin;
  }
  Picture plate(std::max(width, legend), height + title_height + 4 * margin, paper);
  std::int64_t x = margin;
  for (const Overlay& overlay : overlays) {
    draw_text(plate, x + 2, margin / 2, overlay.view, faint, text_zoom);
    paste(plate, overlay.picture, x, margin / 2 + title_height - 6);
    x += overlay.picture.width + 3 * margin;
  }
  x = margin;
  const std::int64_t y = plate.height - 2 * margin;
  for (std::size_t i = 1; i < class_names.size(); ++i) {
    paste(plate, Picture(swatch, swatch, class_color(static_cast<std::int64_t>(i))), x, y);
    draw_text(plate, x + swatch + 8, y, class_names[i], ink, text_zoom);
    x += swatch + 8 + letter * static_cast<std::int64_t>(class_names[i].size()) + 2 * margin;
  }
  return plate;
}

}  // namespace segment
