#include "ops/direct/conv.hpp"

#include <algorithm>
#include <span>
#include <type_traits>

#include "ops/direct/axis_runs.hpp"
#include "ops/direct/packed_weight.hpp"
#include "ops/direct/patch_sums.hpp"
#include "ops/direct/patches.hpp"
#include "ops/direct/sliding.hpp"
#include "ops/direct/tap_products.hpp"

namespace lucid::direct {
namespace {

// Lines of the result at one position of the axis in front of them, which the same taps reach.
struct Piece {
  const Run* heights;
  std::int64_t first, lines;  // of the run
};

// One direction of a convolution: each position of the result is computed at once, from all its taps. Runs of
// positions along W that the same taps reach are the rows of a product, whose outer terms are the taps.
template <class T>
class Direction {
 public:
  // `transposed`: from y to x.
  Direction(const ConvProblem& p, bool transposed, const Tensor& from, const Tensor& weight,
            const Tensor& bias, const Tensor& to, const ops::PackedWeights& kept)
      : p_(p),
        maps_(p.geometry),
        depths_(maps_.d, transposed),
        heights_(maps_.h, transposed),
        widths_(maps_.w, transposed),
        height_runs_(runs_of(heights_)),
        width_runs_(runs_of(widths_)),
        weight_(p, weight, transposed, kept, std::is_same_v<T, float> && has_dots(p, transposed)),
        start_(padded_start<T>(bias, p.geometry.groups, weight_.columns())),
        is_voxelwise_(meets_every_voxel(p)),
        from_size_(transposed ? p.geometry.y : p.geometry.x),
        to_size_(transposed ? p.geometry.x : p.geometry.y),
        from_step_(transposed ? p.y_row() : p.x_step()),
        to_step_(transposed ? p.x_row() : p.y_row()),
        from_(from.data<T>()),
        to_(to.data_to_write<T>()) {}

  void run() const {
    if (is_voxelwise_) return run_voxels();
    std::vector<Piece> pieces;
    const std::int64_t planes = p_.batch * depths_.count();
    for (const Run& run : height_runs_) {
      const std::int64_t step = lines_at_once(run.count, widths_.count(), planes);
      for (std::int64_t first = 0; first < run.count; first += step)
        pieces.push_back({&run, first, std::min(step, run.count - first)});
    }
    const auto count = static_cast<std::int64_t>(pieces.size());
    parallel_walk(planes * count, grain_of(p_.work(), planes * count), [&](Turns& turns) {
      Scratch scratch;
      while (const auto task = turns.next())
        produce(*task / count, pieces[static_cast<std::size_t>(*task % count)], scratch);
    });
  }

 private:
  struct Scratch {
    std::vector<Tap> depths, heights, widths;
    std::vector<RowsTerm> terms;
  };
  static constexpr std::int64_t kCachedPanel = (1 << 18) / sizeof(T);  // elements that stay in a core's cache

  // One tap that meets every voxel: lines of any length.
  void run_voxels() const {
    const std::int64_t voxels = p_.batch * to_size_[0] * to_size_[1] * to_size_[2];
    // Each panel of columns reads the voxels again, from a cache.
    constexpr std::int64_t kLeastVoxels = 64, kCachedVoxels = 256, kTurns = 16;
    const std::int64_t threads = num_threads(), fair = (voxels + threads - 1) / threads,
                       at_once = std::clamp(voxels / (kTurns * threads), std::min(kLeastVoxels, fair),
                                            kCachedVoxels),
                       steps = (voxels + at_once - 1) / at_once;
    // The processor sees what comes next, but is late from memory.
    constexpr std::int64_t kCachedBytes = 7 << 20, kSize = sizeof(T);
    const std::vector<RowsTerm> terms{{0, 0}};
    const bool fetches = voxels * from_step_ * kSize > kCachedBytes;
    const std::int64_t bytes = voxels * to_step_ * kSize;
    const bool past_caches = bytes >= kBytesPastCaches && p_.geometry.groups == 1 &&
                             takes_past_caches<T>(weight_.columns()) &&
                             goes_past_caches(to_, bytes, to_step_ * kSize);
    parallel_walk(steps, grain_of(p_.work(), steps), [&](Turns& turns) {
      while (const auto step = turns.next()) {
        const std::int64_t first = *step * at_once;
        for (std::int64_t group = 0; group < p_.geometry.groups; ++group)
          multiply(RowsProduct<T>{.a = from_ + first * from_step_,
                                  .a_row = from_step_,
                                  .a_step = 1,
                                  .b = nullptr,
                                  .b_row = kPanel<T>,
                                  .c = to_ + first * to_step_,
                                  .c_row = to_step_,
                                  .rows = std::min(at_once, voxels - first),
                                  .depth = weight_.depth(),
                                  .columns = weight_.columns(),
                                  .b_panel = weight_.panel_size(),
                                  .fetches = fetches,
                                  .past_caches = past_caches},
                   group, terms);
      }
    });
  }

  void produce(std::int64_t plane, const Piece& piece, Scratch& scratch) const {
    const std::int64_t n = plane / depths_.count(), d = plane % depths_.count();
    const std::int64_t from_line = from_size_[2] * from_step_, to_line = widths_.count() * to_step_;
    const std::int64_t h = piece.heights->first + piece.first * piece.heights->step;
    const T* const from = from_ + n * from_size_[0] * from_size_[1] * from_line;
    T* const to = to_ + (plane * heights_.count() + h) * to_line;
    depths_.list(d, scratch.depths);
    heights_.list(h, scratch.heights);
    for (const Run& run : width_runs_) {
      const std::int64_t depth = find_terms(run, scratch);
      RowsProduct<T> product{.a = from,
                             .a_row = step_of(run.source_step, from_step_),
                             .a_step = 1,
                             .b = nullptr,
                             .b_row = kPanel<T>,
                             .c = to + run.first * to_step_,
                             .c_row = step_of(run.step, to_step_),
                             .rows = run.count,
                             .depth = depth,
                             .columns = weight_.columns(),
                             .b_panel = weight_.panel_size(),
                             .lines = piece.lines,
                             .a_line = step_of(piece.heights->source_step, from_line),
                             .c_line = step_of(piece.heights->step, to_line)};
      if (product.rows < 4 && product.lines > product.rows) {  // the border's voxels, of all lines together
        std::swap(product.rows, product.lines);
        std::swap(product.a_row, product.a_line);
        std::swap(product.c_row, product.c_line);
      }
      for (std::int64_t group = 0; group < p_.geometry.groups; ++group)
        multiply(product, group, scratch.terms);
    }
  }

  // The taps that reach the piece's first position of a run; returns how many channels each term sums over.
  // Neighbouring taps whose sources are neighbours are one term.
  std::int64_t find_terms(const Run& run, Scratch& scratch) const {
    widths_.list(run.first, scratch.widths);
    const std::vector<Tap>& widths = scratch.widths;
    bool joins = from_step_ == weight_.depth() && !widths.empty();
    for (std::size_t i = 1; i < widths.size(); ++i)
      joins = joins && widths[i].tap == widths[i - 1].tap + 1 && widths[i].source == widths[i - 1].source + 1;
    const std::span<const Tap> firsts(widths.data(), joins ? 1 : widths.size());
    scratch.terms.clear();
    for (const Tap& kd : scratch.depths)
      for (const Tap& kh : scratch.heights) {
        const std::int64_t line = (kd.source * from_size_[1] + kh.source) * from_size_[2];
        for (const Tap& kw : firsts)
          scratch.terms.push_back(
              {(line + kw.source) * from_step_, maps_.tap(kd.tap, kh.tap, kw.tap) * weight_.tap_size()});
      }
    return joins ? static_cast<std::int64_t>(widths.size()) * weight_.depth() : weight_.depth();
  }

  // One group: all terms at once, or as many as a core's cache holds the weights of.
  void multiply(RowsProduct<T> product, std::int64_t group, const std::vector<RowsTerm>& terms) const {
    const auto count = static_cast<std::int64_t>(terms.size());
    const std::int64_t step =
        std::max<std::int64_t>(1, kCachedPanel / std::max<std::int64_t>(1, product.depth * kPanel<T>));
    product.a += group * weight_.depth();
    product.b = weight_.at(group, 0);
    product.c += group * weight_.columns();
    if (!start_.empty())
      product.start = start_.data() + group * padded_to_lanes(weight_.columns(), kPanel<T>);
    product.terms = terms.data();
    // Else the group before fetched the line of the cache in which these channels end.
    const std::int64_t begin = group * weight_.depth(), last = begin + weight_.depth() - 1;
    product.fetches = product.fetches && (begin % kLanes<T> == 0 || begin / kLanes<T> < last / kLanes<T>);
    if constexpr (std::is_same_v<T, float>)
      if (weight_.is_for_dots()) {
        product.outer = count;
        return store_dots(product);
      }
    product.outer = std::min(step, count);
    store_product(product);
    product.start = nullptr;
    for (std::int64_t at = step; at < count; at += step) {
      product.terms = terms.data() + at;
      product.outer = std::min(step, count - at);
      add_product(product);
    }
  }

  const ConvProblem& p_;
  Maps maps_;
  AxisTaps depths_, heights_, widths_;  // of the result's positions
  std::vector<Run> height_runs_, width_runs_;
  PackedWeight<T> weight_;
  std::vector<T> start_;
  bool is_voxelwise_;
  const Dims3 &from_size_, &to_size_;
  std::int64_t from_step_, to_step_;  // from one voxel to the next
  const T* from_;
  T* to_;
};

void run(const ConvProblem& p, bool transposed, const Tensor& from, const Tensor& weight, const Tensor& bias,
         const Tensor& to, const ops::PackedWeights& kept) {
  to.dtype() == f64 ? Direction<double>(p, transposed, from, weight, bias, to, kept).run()
                    : Direction<float>(p, transposed, from, weight, bias, to, kept).run();
}

}  // namespace

void conv_forward(const ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& out, const ops::PackedWeights& kept) {
  if (out.dtype() == f32 && has_tap_products(p))
    return run_tap_products(p, false, x, weight, bias, out, kept);
  if (out.dtype() == f32 && has_sliding(p, ops::ConvPass::y))
    return conv_sliding(p, ops::ConvPass::y, x, weight, bias, out, kept);
  if (out.dtype() == f32 && has_patch_sums(p)) return sum_patches(p, x, weight, bias, out);
  run(p, false, x, weight, bias, out, kept);
}

void conv_transpose(const ConvProblem& p, const Tensor& y, const Tensor& weight, const Tensor& bias,
                    const Tensor& out, const ops::PackedWeights& kept) {
  if (out.dtype() == f32 && has_tap_products(p)) return run_tap_products(p, true, y, weight, bias, out, kept);
  if (has_patches(p) && !meets_every_voxel(p)) return scatter_patches(p, y, weight, bias, out, kept);
  if (out.dtype() == f32 && has_sliding(p, ops::ConvPass::x))
    return conv_sliding(p, ops::ConvPass::x, y, weight, bias, out, kept);
  run(p, true, y, weight, bias, out, kept);
}

}  // namespace lucid::direct
