// Losses as layers: they give what the functions give, keep their weights as buffers, and print what was set.
#include <doctest/doctest.h>

#include "lucid/random.hpp"
#include "nn/cosine.hpp"
#include "nn/loss.hpp"
#include "nn/segmentation_loss.hpp"

using namespace lucid;

TEST_CASE("a loss layer gives what its function gives") {
  const Tensor x = randn({2, 3, 4, 5, 6}), labels = randint(0, 3, {2, 4, 5, 6});
  const auto same = [](const Tensor& a, const Tensor& b) { CHECK(a.item<float>() == b.item<float>()); };
  same(nn::GeneralizedDiceLoss({.softmax = true, .w_type = DiceWeight::simple})(x, labels),
       generalized_dice_loss(x, labels, {.softmax = true, .w_type = DiceWeight::simple}));
  same(nn::TverskyLoss({.softmax = true, .alpha = 0.2})(x, labels),
       tversky_loss(x, labels, {.softmax = true, .alpha = 0.2}));
  same(nn::FocalTverskyLoss({.softmax = true, .gamma = 2})(x, labels),
       focal_tversky_loss(x, labels, {.softmax = true, .gamma = 2}));
  same(nn::HausdorffDTLoss({.alpha = 1, .softmax = true})(x, labels),
       hausdorff_dt_loss(x, labels, {.alpha = 1, .softmax = true}));
  same(nn::BoundaryLoss({.softmax = true})(x, labels), boundary_loss(x, labels, {.softmax = true}));
  const Tensor a = randn({4, 7}), b = randn({4, 7}), y = Tensor::from({1, -1, 1, -1}, {4}, i64);
  same(nn::CosineEmbeddingLoss({.margin = 0.1})(a, b, y), cosine_embedding_loss(a, b, y, {.margin = 0.1}));
  CHECK(nn::CosineSimilarity({.dim = 0})(a, b).to_vector<float>() ==
        cosine_similarity(a, b, {.dim = 0}).to_vector<float>());
}

TEST_CASE("PyTorch's losses as layers give what their functions give") {
  const auto same = [](const Tensor& a, const Tensor& b) {
    CHECK(a.to_vector<float>() == b.to_vector<float>());
  };
  const Tensor x = randn({4, 3, 5}), labels = randint(0, 3, {4, 5}), y = randn({4, 3, 5});
  const Tensor weight = Tensor::from({1, 2, 3}, {3}), soft = y.softmax(1), p = x.sigmoid();
  same(nn::CrossEntropyLoss()(x, labels), cross_entropy(x, labels));
  same(nn::CrossEntropyLoss({.weight = weight, .ignore_index = 1, .label_smoothing = 0.1})(x, labels),
       cross_entropy(x, labels, {.weight = weight, .ignore_index = 1, .label_smoothing = 0.1}));
  same(nn::CrossEntropyLoss({.reduction = Reduction::none})(x, soft),
       cross_entropy(x, soft, {.reduction = Reduction::none}));
  same(nn::NLLLoss({.weight = weight})(x, labels), nll_loss(x, labels, {.weight = weight}));
  same(nn::MSELoss()(x, y), mse_loss(x, y));
  same(nn::L1Loss({.reduction = Reduction::sum})(x, y), l1_loss(x, y, {.reduction = Reduction::sum}));
  same(nn::SmoothL1Loss({.beta = 0.5})(x, y), smooth_l1_loss(x, y, {.beta = 0.5}));
  same(nn::HuberLoss({.delta = 0.5})(x, y), huber_loss(x, y, {.delta = 0.5}));
  same(nn::KLDivLoss({.reduction = KlReduction::batchmean})(x, soft),
       kl_div(x, soft, {.reduction = KlReduction::batchmean}));
  same(nn::BCELoss({.weight = full({5}, 2)})(p, soft),
       binary_cross_entropy(p, soft, {.weight = full({5}, 2)}));
  same(nn::BCEWithLogitsLoss({.weight = full({5}, 2), .pos_weight = full({3, 1}, 3)})(x, soft),
       binary_cross_entropy_with_logits(x, soft, {.weight = full({5}, 2), .pos_weight = full({3, 1}, 3)}));
  same(nn::DiceLoss({.softmax = true})(x, labels), dice_loss(x, labels, {.softmax = true}));
  same(nn::DiceCELoss({.weight = weight, .lambda_dice = 0.5})(x, labels),
       dice_ce_loss(x, labels, {.weight = weight, .lambda_dice = 0.5}));
  CHECK_THROWS_WITH_AS(nn::SmoothL1Loss({.beta = -1}), doctest::Contains("SmoothL1Loss: beta is -1"), Error);
  CHECK_THROWS_WITH_AS(nn::HuberLoss({.delta = 0}), doctest::Contains("HuberLoss: delta is 0"), Error);
}

TEST_CASE("a loss layer's weights are buffers: they follow to() and a loaded state") {
  const Tensor x = randn({4, 3}), labels = randint(0, 3, {4});
  nn::CrossEntropyLoss loss({.weight = Tensor::from({1, 2, 3}, {3})});
  loss.load_state_dict({{"weight", ones({3})}});
  CHECK(loss(x, labels).item<float>() == cross_entropy(x, labels).item<float>());
  loss.to(f64);
  CHECK(loss(x.to(f64), labels).dtype() == f64);
  CHECK(loss.parameters().empty());
}

TEST_CASE("FocalLoss keeps its class weights as a buffer") {
  const Tensor x = randn({2, 3, 4}), labels = randint(0, 3, {2, 4});
  const Tensor weight = Tensor::from({1, 2, 3}, {3});
  nn::FocalLoss loss({.weight = weight, .use_softmax = true});
  CHECK(loss(x, labels).item<float>() ==
        focal_loss(x, labels, {.weight = weight, .use_softmax = true}).item<float>());
  CHECK(loss.state_dict().at("class_weight").to_vector<float>() == std::vector<float>{1, 2, 3});
  loss.load_state_dict({{"class_weight", ones({3})}});
  CHECK(loss(x, labels).item<float>() == focal_loss(x, labels, {.use_softmax = true}).item<float>());
  loss.to(f64);
  CHECK(loss.class_weight.dtype() == f64);
  CHECK(nn::FocalLoss().state_dict().empty());
  CHECK(nn::forgotten_fields([] { return nn::FocalLoss({.weight = ones({2})}); }) == "");
}

TEST_CASE("a loss layer prints the options that were set") {
  CHECK(nn::TverskyLoss().str() == "TverskyLoss()");
  CHECK(nn::TverskyLoss({.softmax = true, .alpha = 0.25, .reduction = Reduction::sum}).str() ==
        "TverskyLoss(alpha=0.25, reduction=sum, softmax=true)");
  CHECK(nn::HausdorffDTLoss({.sampling = {1, 2.5, 2.5}}).str() == "HausdorffDTLoss(sampling=[1.0,2.5,2.5])");
  CHECK(nn::FocalLoss({.alpha = 0.5}).str() == "FocalLoss(alpha=0.5)");
}

TEST_CASE("errors of a loss layer name where it is") {
  struct Net : nn::Module {
    nn::TverskyLoss criterion;
    LUCID_FIELDS(criterion)
  } net;
  net.parameters();
  CHECK_THROWS_WITH_AS(net.criterion(ones({2, 3, 4}), zeros({2, 5}, i64)),
                       doctest::Contains("tversky_loss (criterion): target has shape (2, 5)"), Error);

  struct Composed : nn::Module {
    nn::DiceCELoss criterion;
    LUCID_FIELDS(criterion)
  } composed;
  composed.parameters();
  CHECK_THROWS_WITH_AS(composed.criterion(ones({2, 3, 4}), zeros({2, 5}, i64)),
                       doctest::Contains("dice_loss (criterion, dice_ce_loss): target has shape (2, 5)"),
                       Error);
}
