// Losses of regions: overlaps of predicted and true classes, focal loss, and distances from borders. Each is
// written from the paper that ops/loss.hpp names for it, with MONAI's arguments.

#include <algorithm>
#include <cmath>

#include "ops/reference/definitions.hpp"
#include "ops/reference/loss.hpp"
#include "ops/reference/spatial.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

// Predictions and truth of each class, (N, C, ...); counted is 0 where the target is to be ignored.
struct Regions {
  Array p, t, counted;

  Regions(const Array& input, const Array& target, const json& o, bool softmaxed, bool sigmoided)
      : p(softmaxed   ? softmax(input, 1)
          : sigmoided ? map(input, sigmoid)
                      : input) {
    const bool indices = target.shape != input.shape;
    const auto label = [&](Index index) {  // the class axis goes, or keeps its one element
      if (target.rank() == input.rank())
        index[1] = 0;
      else
        index.erase(index.begin() + 1);
      return target.at(index);
    };
    counted = generate(input.shape, [&](const Index& index) {
      return !indices || label(index) != o["ignore_index"].get<double>();
    });
    t = generate(input.shape, [&](const Index& index) {
      if (!indices) return target.at(index);
      return counted.at(index) != 0 && label(index) == static_cast<double>(index[1]) ? 1.0 : 0.0;
    });
  }
  Regions(const Arrays& in, const json& o) : Regions(in[0], in[1], o, o["softmax"], o["sigmoid"]) {}

  // The sum of f(p, t, index) over the counted positions: (N, C), or (C) over all samples; without class 0
  // where that is left out.
  template <class F>
  Array sums(const json& o, F&& f) const {
    const bool batch = o["batch"];
    const std::int64_t first = o["include_background"] ? 0 : 1, classes = p.shape[1] - first;
    Array out(batch ? Shape{classes} : Shape{p.shape[0], classes});
    for_each_index(p.shape, [&](const Index& index) {
      if (index[1] < first || counted.at(index) == 0) return;
      const Index to = batch ? Index{index[1] - first} : Index{index[0], index[1] - first};
      out.at(to) += f(p.at(index), t.at(index), index);
    });
    return out;
  }
};

// sum(p t), sum(p) and sum(t), or sums of p^2 and t^2.
struct Overlap {
  Overlap(const Regions& regions, const json& o, bool squared = false)
      : both(regions.sums(o, [](double p, double t, const Index&) { return p * t; })),
        prediction(regions.sums(o, [&](double p, double, const Index&) { return squared ? p * p : p; })),
        truth(regions.sums(o, [&](double, double t, const Index&) { return squared ? t * t : t; })) {}
  Array both, prediction, truth;
};

Arrays overlap_sums(const Arrays& in, json o) {
  o.update({{"batch", false}, {"include_background", true}});
  const Overlap overlap(Regions(in, o), o, o["squared"]);
  Array out(joined({3}, overlap.both.shape));
  out.values.clear();
  for (const Array* part : {&overlap.both, &overlap.prediction, &overlap.truth})
    out.values.insert(out.values.end(), part->values.begin(), part->values.end());
  return {out};
}

double one_minus(double numerator, double denominator) {
  return denominator == 0 ? 0 : 1 - numerator / denominator;
}

// f(both, prediction, truth) of each class, reduced; with present_only classes without truth are left out.
template <class F>
Array class_ratios(const Overlap& overlap, const json& o, F&& f) {
  Array losses = overlap.both;
  double present = 0, sum = 0;
  for (std::size_t i = 0; i < losses.values.size(); ++i) {
    const double truth = overlap.truth.values[i];
    const bool counts = !o["present_only"] || truth > 0;
    losses.values[i] = counts ? f(overlap.both.values[i], overlap.prediction.values[i], truth) : 0;
    present += counts;
    sum += losses.values[i];
  }
  if (o["reduction"] == "mean") return Array({}, present == 0 ? 0 : sum / present);
  return reduced(losses, o["reduction"]);
}

Arrays dice_loss(const Arrays& in, const json& o) {
  const double above = o["smooth_nr"], below = o["smooth_dr"];
  const Overlap overlap(Regions(in, o), o, o["squared_pred"]);
  return {class_ratios(overlap, o, [&](double both, double prediction, double truth) {
    const double areas = prediction + truth;
    return one_minus(2 * both + above, (o["jaccard"] ? 2 * (areas - both) : areas) + below);
  })};
}

double tversky(double both, double prediction, double truth, const json& o) {
  const double wrong =
      o["alpha"].get<double>() * (prediction - both) + o["beta"].get<double>() * (truth - both);
  return one_minus(both + o["smooth_nr"].get<double>(), both + wrong + o["smooth_dr"].get<double>());
}

Arrays tversky_loss(const Arrays& in, const json& o) {
  return {class_ratios(Overlap(Regions(in, o), o), o, [&](double both, double prediction, double truth) {
    return tversky(both, prediction, truth, o);
  })};
}

Arrays focal_tversky_loss(const Arrays& in, const json& o) {
  return {class_ratios(Overlap(Regions(in, o), o), o, [&](double both, double prediction, double truth) {
    return std::pow(std::max(0.0, tversky(both, prediction, truth, o)), 1 / o["gamma"].get<double>());
  })};
}

// 1 / size^2, 1 / size or 1 for each class; an absent class weighs as much as the heaviest, or 1.
std::vector<double> class_weights(const std::vector<double>& sizes, const std::string& type) {
  std::vector<double> weights;
  double heaviest = 0;
  for (const double size : sizes) {
    const double inverse = size > 0 ? 1 / size : 0;
    weights.push_back(type == "uniform" ? 1 : type == "simple" ? inverse : inverse * inverse);
    heaviest = std::max(heaviest, weights.back());
  }
  for (double& weight : weights)
    if (weight == 0) weight = heaviest == 0 ? 1 : heaviest;
  return weights;
}

Arrays generalized_dice_loss(const Arrays& in, const json& o) {
  const Overlap overlap(Regions(in, o), o);
  const auto classes = static_cast<std::size_t>(overlap.both.shape.back());
  Shape samples = overlap.both.shape;
  samples.erase(samples.size() - 1);
  std::size_t first = 0;
  return {reduced(
      generate(samples,
               [&](const Index&) {
                 const auto begin = overlap.truth.values.begin() + static_cast<std::ptrdiff_t>(first);
                 const auto weights =
                     class_weights({begin, begin + static_cast<std::ptrdiff_t>(classes)}, o["w_type"]);
                 double above = o["smooth_nr"], below = o["smooth_dr"];
                 for (std::size_t c = 0; c < classes; ++c, ++first) {
                   above += 2 * weights[c] * overlap.both.values[first];
                   below += weights[c] * (overlap.prediction.values[first] + overlap.truth.values[first]);
                 }
                 return one_minus(above, below);
               }),
      o["reduction"])};
}

Arrays dice_ce_loss(const Arrays& in, json o) {
  o.update({{"softmax", true}, {"sigmoid", false}, {"jaccard", false}, {"reduction", "mean"}});
  Arrays classes = in;
  if (in[1].rank() == in[0].rank() && in[1].shape != in[0].shape) classes[1].shape.erase(1);
  const double dice = dice_loss(in, o)[0].values[0], ce = cross_entropy(classes, o)[0].values[0];
  return {Array({}, o["lambda_dice"].get<double>() * dice + o["lambda_ce"].get<double>() * ce)};
}

// -(1 - p)^gamma log p
double focus(double p, double gamma) { return -std::pow(1 - p, gamma) * std::log(p); }

// in: input, target, weight (C)
Arrays focal_loss(const Arrays& in, const json& o) {
  const bool softmaxed = o["use_softmax"], balanced = !o["alpha"].is_null();
  const double gamma = o["gamma"], yes = balanced ? o["alpha"].get<double>() : 1, no = balanced ? 1 - yes : 1;
  const std::int64_t first = o["include_background"] ? 0 : 1;
  const Regions regions(in[0], in[1], o, softmaxed, !softmaxed);
  Shape shape = in[0].shape;
  shape[1] -= first;
  double counted = 0;
  const Array losses = generate(shape, [&](Index index) {
    index[1] += first;
    if (regions.counted.at(index) == 0) return 0.0;
    ++counted;
    const double p = regions.p.at(index), t = regions.t.at(index);
    const double weight = in[2].defined() ? in[2].at({index[1]}) : 1;
    if (softmaxed) return weight * (index[1] == 0 ? no : yes) * t * focus(p, gamma);
    return weight * (yes * t * focus(p, gamma) + no * (1 - t) * focus(1 - p, gamma));
  });
  if (o["reduction"] != "mean") return {reduced(losses, o["reduction"])};
  const double sum = reduced(losses, "sum").values[0];
  return {Array({}, counted == 0 ? 0 : sum / counted)};
}

// Distances of the elements with 1 in `mask` to those with 0; 0 where there is no border.
Array distances(const Array& mask, const json& sampling) {
  return map(distances_to_zero(mask, spacing_of(mask, sampling)),
             [](double d) { return std::isinf(d) ? 0 : d; });
}

Array above_half(const Array& values, const Array& counted) {
  return zip(values, counted, [](double value, double counts) { return value > 0.5 && counts != 0; });
}

Array complement(const Array& mask) {
  return map(mask, [](double inside) { return inside == 0; });
}

// The mean of f(p, t, index) over the counted positions, by sample and class.
template <class F>
Array region_means(const Regions& regions, const json& o, F&& f) {
  const Array sums = regions.sums(o, f),
              counts = regions.sums(o, [](double, double, const Index&) { return 1; });
  return reduced(zip(sums, counts, [](double sum, double count) { return count == 0 ? 0 : sum / count; }),
                 o["reduction"]);
}

Arrays hausdorff_dt_loss(const Arrays& in, const json& o) {
  const Regions regions(in, o);
  const auto field = [&](const Array& values) {  // to the other side of the border, to the power of alpha
    const Array inside = above_half(values, regions.counted);
    return zip(distances(inside, o["sampling"]), distances(complement(inside), o["sampling"]),
               [alpha = o["alpha"].get<double>()](double in_d, double out_d) {
                 return std::pow(in_d + out_d, alpha);
               });
  };
  const Array of_p = field(regions.p), of_t = field(regions.t);
  return {region_means(regions, o, [&](double p, double t, const Index& i) {
    return (p - t) * (p - t) * (of_p.at(i) + of_t.at(i));
  })};
}

Arrays boundary_loss(const Arrays& in, const json& o) {
  const Regions regions(in, o);
  const auto spacing = spacing_of(in[0], o["sampling"]);
  const double step = *std::min_element(spacing.begin(), spacing.end());
  const Array inside = above_half(regions.t, regions.counted);
  const Array depth = distances(inside, o["sampling"]), away = distances(complement(inside), o["sampling"]);
  return {region_means(regions, o, [&](double p, double, const Index& i) {
    return p * (away.at(i) - std::max(0.0, depth.at(i) - step));
  })};
}

}  // namespace

void define_region_losses(Definitions& d) {
  d["overlap_sums"] = overlap_sums;
  d["dice_loss"] = dice_loss;
  d["dice_ce_loss"] = dice_ce_loss;
  d["generalized_dice_loss"] = generalized_dice_loss;
  d["tversky_loss"] = tversky_loss;
  d["focal_tversky_loss"] = focal_tversky_loss;
  d["focal_loss"] = focal_loss;
  d["hausdorff_dt_loss"] = hausdorff_dt_loss;
  d["boundary_loss"] = boundary_loss;
}

}  // namespace lucid::reference
