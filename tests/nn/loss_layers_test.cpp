// Losses as layers: they give what the functions give, keep their weights as buffers, and print what was set.
#include <doctest/doctest.h>

#include "lucid/random.hpp"
#include "nn/cosine.hpp"
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
}
